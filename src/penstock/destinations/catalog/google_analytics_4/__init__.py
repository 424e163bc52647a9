"""Google Analytics 4: events through the Measurement Protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import quote

from penstock.destinations.catalog.common.fields import mapped
from penstock.destinations.catalog.google_analytics_4.fields import FIELDS, ITEMS, before, behind
from penstock.destinations.catalog.google_analytics_4.requests import Rule, send, send_custom
from penstock.destinations.contract import (
    Action,
    Choice,
    Destination,
    Field,
    Preset,
    Request,
    Setting,
    Settings,
)

__all__ = ["DESTINATION"]


def _event(
    slug: str,
    name: str,
    event: str,
    params: Sequence[str] = (),
    rules: Sequence[Rule] = (),
    items: str = "",
) -> Action:
    """An action for the GA4 event ``name``, taken when the track event ``event`` comes."""
    own = tuple(FIELDS[param] for param in params) + ((ITEMS[items],) if items else ())
    trigger = f'type = "track" and event = "{event}"' if event else 'type = "track"'
    label = name.replace("_", " ").capitalize()
    return Action(
        slug,
        label,
        send(name, [field.key for field in own], rules),
        help=f"The event {name}.",
        trigger=trigger,
        fields=(*before("client_id"), *own, *behind()),
    )


_VALUE = ("currency", "value")
_STRICT: tuple[Rule, ...] = ("with value", "somewhere")
_PAGE = (FIELDS["page_location"], FIELDS["page_referrer"], FIELDS["page_title"])

_ACTIONS = (
    _event(
        "purchase",
        "purchase",
        "Order Completed",
        (
            "affiliation",
            "coupon",
            "currency!",
            "transaction_id",
            "shipping",
            "tax",
            "value of the order",
        ),
        items="products",
    ),
    _event("addToCart", "add_to_cart", "Product Added", _VALUE, items="product"),
    Action(
        "pageView",
        "Page view",
        send("page_view", [field.key for field in _PAGE], client="clientId"),
        help="The event page_view.",
        trigger='type = "page"',
        fields=(*before("clientId"), *_PAGE, *behind()),
    ),
    Action(
        "customEvent",
        "Custom event",
        send_custom,
        help="Any other event; map its parameters in params.",
        trigger='type = "track"',
        fields=(
            *before("clientId"),
            mapped("name", "Event name", "event", required=True),
            Field("lowercase", "Lower case", "boolean", default=False),
            *behind(),
        ),
        internal=("lowercase",),
    ),
    _event(
        "selectItem",
        "select_item",
        "Product Clicked",
        ("item_list_name of your own", "item_list_id of your own"),
        items="product",
    ),
    _event(
        "beginCheckout", "begin_checkout", "Checkout Started", ("coupon", *_VALUE), items="products"
    ),
    _event(
        "selectPromotion",
        "select_promotion",
        "Promotion Clicked",
        (
            "creative_name",
            "creative_slot",
            "location_id of your own",
            "promotion_id",
            "promotion_name",
        ),
        items="promoted, if any",
    ),
    _event("viewItem", "view_item", "Product Viewed", _VALUE, items="product"),
    _event("removeFromCart", "remove_from_cart", "Product Removed", _VALUE, _STRICT, "product"),
    _event("viewCart", "view_cart", "Cart Viewed", _VALUE, _STRICT, "products"),
    _event("search", "search", "Products Searched", ("search_term",)),
    _event(
        "viewItemList",
        "view_item_list",
        "Product List Viewed",
        ("item_list_id", "item_list_name"),
        items="products",
    ),
    _event("signUp", "sign_up", "Signed Up", ("method",)),
    _event(
        "viewPromotion",
        "view_promotion",
        "Promotion Viewed",
        ("creative_name", "creative_slot", "location_id", "promotion_id", "promotion_name"),
        items="promoted",
    ),
    _event(
        "addPaymentInfo",
        "add_payment_info",
        "Payment Info Entered",
        (*_VALUE, "coupon of your own", "payment_type"),
        ("some item", *_STRICT),
        "products",
    ),
    _event(
        "refund",
        "refund",
        "Order Refunded",
        (
            "currency",
            "transaction_id",
            "value of the order",
            "affiliation",
            "coupon of your own",
            "shipping",
            "tax of your own",
        ),
        _STRICT,
        "products, if any",
    ),
    _event("login", "login", "Signed In", ("method of your own",)),
    _event("generateLead", "generate_lead", "", _VALUE, ("with value",)),
    _event(
        "addToWishlist",
        "add_to_wishlist",
        "Product Added to Wishlist",
        _VALUE,
        _STRICT,
        "product",
    ),
)
_NOT_PRESET = {"customEvent", "generateLead"}
"""Their triggers take every event."""


def _authorize(request: Request, settings: Settings, token: str) -> Request:
    return replace(request, url=f"{request.url}&api_secret={quote(settings['apiSecret'])}")


DESTINATION = Destination(
    slug="google-analytics-4",
    name="Google Analytics 4",
    aliases=("Google Analytics 4 Cloud", "Actions Google Analytic 4"),
    help="Events for web and app streams through the Measurement Protocol. Google answers 204 to "
    "nearly everything: what it would drop in silence is refused here, with the reason.",
    website="https://analytics.google.com",
    sources=(
        "https://developers.google.com/analytics/devguides/collection/protocol/ga4/reference",
        "https://developers.google.com/analytics/devguides/collection/protocol/ga4/sending-events",
        "https://developers.google.com/analytics/devguides/collection/protocol/ga4/validating-events",
    ),
    settings=(
        Setting("measurementId", "Measurement id", help="Of a web stream.", example="G-12345"),
        Setting("firebaseAppId", "Firebase app id", help="Of a mobile app stream."),
        Setting(
            "apiSecret",
            "API secret",
            help="Admin, Data streams, Measurement Protocol API secrets.",
            required=True,
            secret=True,
        ),
        Setting(
            "region",
            "Where data is collected",
            default="global",
            choices=(Choice("global", "Worldwide"), Choice("eu", "European Union")),
        ),
        Setting(
            "debug",
            "Validate only",
            "boolean",
            help="Google checks each event and stores none.",
            default=False,
        ),
    ),
    actions=_ACTIONS,
    presets=tuple(
        Preset(action.name, action.slug) for action in _ACTIONS if action.slug not in _NOT_PRESET
    ),
    authorize=_authorize,
    test_mode="Switch on debug: events go to the validation server, which stores nothing and says "
    "what is wrong with them.",
    limits=(
        "25 events a request, 130 kB a request; here one event a request.",
        "25 parameters an event; names of 40 and values of 100 characters (items: 200 items).",
        "25 user properties; names of 24 and values of 36 characters.",
        "Events may be up to 72 hours old.",
    ),
)
