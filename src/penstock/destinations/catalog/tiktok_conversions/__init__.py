"""TikTok Conversions: events of a website or CRM, for measuring and steering advertising."""

from __future__ import annotations

from dataclasses import replace

from penstock.destinations.catalog.common.paths import elements
from penstock.destinations.catalog.tiktok_conversions.events import send
from penstock.destinations.catalog.tiktok_conversions.fields import FIELDS
from penstock.destinations.contract import (
    Action,
    Batch,
    Destination,
    Json,
    Preset,
    Request,
    Setting,
    Settings,
)

__all__ = ["DESTINATION"]


def _authorize(request: Request, settings: Settings, token: str) -> Request:
    return replace(
        request, headers={**request.headers, "Access-Token": str(settings["accessToken"])}
    )


def _products(where: str) -> Json:
    return elements(
        where,
        price="price",
        quantity="quantity",
        content_category="category",
        content_id="product_id",
        content_name="name",
        brand="brand",
    )


_ONE, _LIST, _NONE = "properties", "properties.products", ""
_STANDARD = (
    ("Complete payment", "CompletePayment", "Order Completed", _LIST),
    ("Contact", "Contact", "Callback Started", _NONE),
    ("Subscribe", "Subscribe", "Subscription Created", _NONE),
    ("Submit form", "SubmitForm", "Form Submitted", _NONE),
    ("Page view", "PageView", "", _LIST),
    ("View content", "ViewContent", "Product Viewed", _ONE),
    ("Click button", "ClickButton", "Product Clicked", _ONE),
    ("Search", "Search", "Products Searched", _ONE),
    ("Add to wishlist", "AddToWishlist", "Product Added to Wishlist", _ONE),
    ("Add to cart", "AddToCart", "Product Added", _ONE),
    ("Initiate checkout", "InitiateCheckout", "Checkout Started", _LIST),
    ("Add payment info", "AddPaymentInfo", "Payment Info Entered", _LIST),
    ("Place an order", "PlaceAnOrder", "Order Placed", _LIST),
    ("Download", "Download", "Download Link Clicked", _NONE),
    ("Complete registration", "CompleteRegistration", "Signed Up", _NONE),
)
"""Our name, TikTok's event, the track event (empty: pages), where the products are."""


def _preset(name: str, told: str, event: str, products: str) -> Preset:
    fields: dict[str, Json] = {"event": told}
    if products:
        fields["contents"] = _products(products)
    trigger = f'event = "{event}"' if event else 'type = "page"'
    return Preset(name, "reportWebEvent", trigger, fields)


DESTINATION = Destination(
    slug="tiktok-conversions",
    name="TikTok Conversions",
    aliases=("Tiktok Conversions",),
    help="Tells TikTok what people do on your website, or what became of a lead, to measure and "
    "steer advertising. Ids, e-mail addresses, telephone numbers and names leave only as SHA-256.",
    website="https://ads.tiktok.com/help/article/events-api",
    settings=(
        Setting(
            "accessToken",
            "Access token",
            help="From TikTok Ads Manager: Events, your pixel, Settings, Events API.",
            required=True,
            secret=True,
            example="0123456789abcdef",
        ),
        Setting(
            "pixelCode",
            "Pixel code",
            help="Of the website's pixel, or the id of the CRM event set.",
            required=True,
            example="C0123456789ABCDEFGHI",
        ),
        Setting(
            "partnerName",
            "Partner name",
            help="Who sends, as TikTok shows it; one you registered, if you did.",
            default="Penstock",
        ),
        Setting(
            "testEventCode",
            "Test event code",
            help="While it is set, events show up below Test events and count for nothing.",
            example="TEST12345",
        ),
    ),
    actions=(
        Action(
            "reportWebEvent",
            "Report event",
            send,
            help="An event of a website or of a CRM.",
            fields=FIELDS,
            batch=Batch(1000, keys=("event_source", "test_event_code")),
            internal=("event_spec_type", "event_source", "test_event_code"),
        ),
    ),
    presets=tuple(_preset(*row) for row in _STANDARD),
    sources=(
        "https://business-api.tiktok.com/portal/docs?id=1771100865818625",
        "https://business-api.tiktok.com/portal/docs?id=1771101303285761",
        "https://business-api.tiktok.com/portal/docs?id=1737172488964097",
        "https://docs.tealium.com/server-side-connectors/tiktok-events-connector",
    ),
    authorize=_authorize,
    test_mode="Set the test event code from Events Manager, Test events; what arrives shows there "
    "and counts for nothing.",
    limits=(
        "At most 1,000 events a request; a batch that TikTok refuses is halved until the faulty "
        "event is alone.",
        "TikTok answers 200 to whatever it gets and tells what is wrong in the body; that code "
        "decides whether an event was delivered.",
        "TikTok keeps one of the events with the same event and event_id within 48 hours.",
    ),
)
