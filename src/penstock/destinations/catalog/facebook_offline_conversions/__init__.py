"""Facebook offline conversions: what people do in shops and on the phone.

Facebook's Offline Conversions API ended in May 2025 with version 16 of the Graph API. Its
successor is the Conversions API with ``physical_store`` as the place; that is what this sends to.
"""

from __future__ import annotations

from dataclasses import replace

from penstock.destinations.catalog.common.paths import either
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

_LEFT_OUT = ("app_data_field", "event_source_url")
_BATCH = Batch(1000, keys=("test_event_code", "upload_tag"))
_UPLOAD_TAG = Field(
    "upload_tag", "Upload tag", help="Groups events in Events Manager, such as one shop's month."
)


def _offline(field: Field) -> Field:
    if field.key == "action_source":
        return replace(field, default="physical_store", help="physical_store unless mapped.")
    if field.key == "user_data":
        mapped = {key: _known(key, value) for key, value in field.default.items()}
        return replace(field, default=mapped)
    return field


def _known(key: str, value: object) -> object:
    """Offline events mostly carry the person in their properties or traits."""
    where = _ELSEWHERE.get(key)
    return either(f"context.traits.{where}", f"properties.{where}") if where else value


_ELSEWHERE = {
    "email": "email",
    "phone": "phone",
    "dateOfBirth": "birthday",
    "lastName": "lastName",
    "firstName": "firstName",
}
_FIELDS = (*(_offline(field) for field in BASE if field.key not in _LEFT_OUT), _UPLOAD_TAG)
_BOUGHT = shopping(
    "properties.products",
    "currency",
    "value",
    "order_id",
    "net_revenue",
    "content_ids",
    "content_name",
    "content_type",
    "contents",
    "num_items",
    required=("currency", "value"),
    value=either("properties.revenue", "properties.total"),
)


def _check(settings: Settings) -> Request:
    return Request("GET", f"{GRAPH}/{settings['pixelId']}", query={"fields": "id"})


DESTINATION = Destination(
    slug="facebook-offline-conversions",
    name="Facebook Offline Conversions",
    aliases=("Facebook Offline Conversions (Actions)",),
    help="Tells Meta what people buy and do outside the web, to see which advertisements led "
    "there. The Offline Conversions API itself ended in May 2025; this uses its successor, the "
    "Conversions API, and a dataset in place of the offline event set.",
    website="https://www.facebook.com/business/tools/conversions-api",
    settings=(
        Setting(
            "pixelId",
            "Dataset id",
            help="From Events Manager; an offline event set becomes one by linking it.",
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
    actions=(
        Action(
            "purchase",
            "Purchase",
            builder("Purchase", _BOUGHT, seconds=True),
            help="Sends Purchase.",
            trigger='type = "track" and event = "Order Completed"',
            fields=_FIELDS + _BOUGHT,
            batch=_BATCH,
        ),
        Action(
            "custom",
            "Another event",
            builder("Custom", seconds=True),
            help="Sends any other event, such as Lead or Schedule.",
            fields=(*_FIELDS, CUSTOM_NAME),
            batch=_BATCH,
        ),
    ),
    presets=(Preset("Purchase", "purchase"),),
    sources=(
        "https://developers.facebook.com/docs/marketing-api/conversions-api/offline-events",
        "https://developers.facebook.com/docs/marketing-api/offline-conversions",
        "https://github.com/facebook/facebook-python-business-sdk",
    ),
    authorize=authorize,
    check=_check,
    test_mode="Set the test event code; Events Manager shows what arrives below Test events.",
    limits=(
        "At most 1,000 events a request; a faulty one makes Facebook refuse all, so a refused "
        "batch is halved until the faulty one is alone.",
        "An event may be 62 days old.",
        "Facebook keeps one of the events with the same event_id and name.",
    ),
)
