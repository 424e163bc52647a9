"""Facebook Conversions: events of web, app and shop, for measuring and steering advertising."""

from __future__ import annotations

from dataclasses import replace

from penstock.destinations.catalog.common.paths import path
from penstock.destinations.catalog.facebook_graph.access import ACCESS_TOKEN, GRAPH, authorize
from penstock.destinations.catalog.facebook_graph.events import builder
from penstock.destinations.catalog.facebook_graph.fields import BASE, CUSTOM_NAME, shopping
from penstock.destinations.contract import (
    Action,
    Batch,
    Destination,
    Field,
    Preset,
    Request,
    Setting,
    Settings,
)

__all__ = ["DESTINATION"]

_BATCH = Batch(1000, keys=("test_event_code",))
_ONE, _LIST = "properties", "properties.products"


def _action(
    slug: str, name: str, event: str, own: tuple[Field, ...] = (), on: str = "", help: str = ""
) -> Action:
    trigger = f'type = "track" and event = "{on}"' if on else ""
    return Action(
        slug,
        name,
        builder(event, () if event == "Custom" else own),
        help or f"Sends {event}.",
        trigger=trigger,
        fields=BASE + own,
        batch=_BATCH,
    )


_ACTIONS = (
    _action(
        "purchase",
        "Purchase",
        "Purchase",
        shopping(
            _LIST,
            "currency",
            "value",
            "net_revenue",
            "content_ids",
            "content_name",
            "content_type",
            "contents",
            "num_items",
            required=("currency", "value"),
            value=path("properties.revenue"),
        ),
        "Order Completed",
    ),
    _action(
        "initiateCheckout",
        "Initiate checkout",
        "InitiateCheckout",
        shopping(
            _LIST,
            "currency",
            "value",
            "content_category",
            "content_ids",
            "contents",
            "num_items",
            value=path("properties.revenue"),
        ),
        "Checkout Started",
    ),
    _action(
        "addToCart",
        "Add to cart",
        "AddToCart",
        shopping(
            _ONE,
            "currency",
            "value",
            "content_ids",
            "content_name",
            "content_type",
            "contents",
            value=path("properties.price"),
        ),
        "Product Added",
    ),
    _action(
        "viewContent",
        "View content",
        "ViewContent",
        shopping(
            _ONE,
            "currency",
            "value",
            "content_category",
            "content_ids",
            "content_name",
            "content_type",
            "contents",
            value=path("properties.price"),
            content_ids=path("properties.product_id"),
        ),
        "Product Viewed",
    ),
    _action(
        "search",
        "Search",
        "Search",
        shopping(
            _ONE,
            "currency",
            "value",
            "content_category",
            "content_ids",
            "contents",
            "search_string",
        ),
        "Products Searched",
    ),
    replace(_action("pageView", "Page view", "PageView"), trigger='type = "page"'),
    _action(
        "custom",
        "Custom event",
        "Custom",
        (CUSTOM_NAME,),
        help="Sends any other event, standard or of your own.",
    ),
)

_FROM = {
    "action_source": {
        "@if": {
            "exists": path("context.userAgent"),
            "then": "website",
            "else": "system_generated",
        }
    }
}

_BESIDES = {"search": {"contents": None}}
"""A search has words and no product, and products without an id are refused."""


def _check(settings: Settings) -> Request:
    return Request("GET", f"{GRAPH}/{settings['pixelId']}", query={"fields": "id"})


DESTINATION = Destination(
    slug="facebook-conversions",
    name="Facebook Conversions API",
    aliases=("Facebook Conversions API (Actions)", "Facebook Conversions"),
    help="Tells Meta what people do on your website, in your app or in your shop, to measure and "
    "steer advertising. Personal data leaves only as SHA-256. Offline events go the same way, with "
    "physical_store as the place where they happened.",
    website="https://www.facebook.com/business/tools/conversions-api",
    settings=(
        Setting(
            "pixelId",
            "Pixel or dataset id",
            help="From Events Manager, below Data sources.",
            required=True,
            pattern="[0-9]+",
            example="1234567890",
        ),
        ACCESS_TOKEN,
        Setting(
            "testEventCode",
            "Test event code",
            help="While it is set, events show up below Test events and count for nothing.",
            example="TEST12345",
        ),
    ),
    actions=_ACTIONS,
    presets=tuple(
        Preset(action.name, action.slug, fields=_FROM | _BESIDES.get(action.slug, {}))
        for action in _ACTIONS
        if action.trigger
    ),
    sources=(
        "https://developers.facebook.com/docs/marketing-api/conversions-api/using-the-api",
        "https://developers.facebook.com/docs/marketing-api/conversions-api/parameters",
        "https://developers.facebook.com/docs/marketing-api/conversions-api/parameters/customer-information-parameters",
        "https://developers.facebook.com/docs/marketing-api/conversions-api/app-events",
        "https://developers.facebook.com/docs/marketing-api/conversions-api/offline-events",
        "https://developers.facebook.com/docs/marketing-apis/data-processing-options",
    ),
    authorize=authorize,
    check=_check,
    test_mode="Set the test event code; Events Manager shows what arrives below Test events.",
    limits=(
        "At most 1,000 events a request; a faulty one makes Facebook refuse all, so a refused "
        "batch is halved until the faulty one is alone.",
        "An event may be 7 days old, 62 days with physical_store.",
        "Facebook keeps one of the events with the same event_id and name within 48 hours.",
    ),
)
