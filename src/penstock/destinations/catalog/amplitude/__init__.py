"""Amplitude: events, orders, and properties of persons and groups."""

from __future__ import annotations

from base64 import b64encode

from penstock.destinations.catalog.amplitude import events, fields, identities
from penstock.destinations.catalog.amplitude.hosts import endpoint
from penstock.destinations.catalog.common.fields import mapped
from penstock.destinations.contract import (
    Action,
    Batch,
    Choice,
    Destination,
    Field,
    Preset,
    Request,
    Setting,
    Settings,
)

__all__ = ["DESTINATION"]

_BATCH = Batch(size=500, bytes=900_000, keys=("use_batch_endpoint", "min_id_length"))
_VIEWED = {"event_type": {"@template": "Viewed {{name}}"}}
_STEERING = ("userAgentParsing", "includeRawUserAgent", "library", "library2", "min_id_length")


def _check(settings: Settings) -> Request:
    basic = b64encode(f"{settings['apiKey']}:{settings['secretKey']}".encode()).decode()
    return Request(
        "GET",
        endpoint("usersearch", settings),
        headers={"Authorization": f"Basic {basic}"},
        query={"user": "testUser@example.com"},
    )


_ACTIONS = (
    Action(
        "logEventV2",
        "Log event",
        events.send_events,
        help="An event; what it costs is left to Log purchase.",
        trigger='type = "track"',
        fields=(
            *fields.EVENT_FIELDS,
            fields.PRODUCTS,
            *fields.SET,
            fields.ADD,
            fields.BATCH_ENDPOINT,
            *fields.AGENT,
            fields.MIN_ID_LENGTH,
            fields.HINTS,
        ),
        batch=_BATCH,
        internal=_STEERING,
    ),
    Action(
        "logPurchase",
        "Log purchase",
        events.send_orders,
        help="An order with its revenue, and an event Product Purchased for each product.",
        trigger='type = "track"',
        fields=(
            Field(
                "trackRevenuePerProduct",
                "Revenue with each product",
                "boolean",
                default=False,
                help="Otherwise once, with the order.",
            ),
            *fields.EVENT_FIELDS,
            fields.PRODUCTS,
            fields.BATCH_ENDPOINT,
            *fields.AGENT,
            *fields.CAMPAIGN,
            fields.MIN_ID_LENGTH,
            fields.HINTS,
        ),
        batch=_BATCH,
        internal=(*_STEERING, "trackRevenuePerProduct"),
    ),
    Action(
        "identifyUser",
        "Identify user",
        identities.identify,
        help="Sets properties of a person, without an event.",
        trigger='type = "identify"',
        fields=fields.IDENTIFY_FIELDS,
        internal=("userAgentParsing", "includeRawUserAgent", "library", "min_id_length"),
    ),
    Action(
        "groupIdentifyUser",
        "Group identify",
        identities.group_identify,
        help="Puts a person into a group and sets the group's properties.",
        trigger='type = "group"',
        fields=(
            fields.USER_ID,
            fields.DEVICE_ID,
            fields.INSERT_ID,
            mapped("time", "Time", "timestamp"),
            mapped("group_properties", "Group properties", "traits", type="object"),
            Field("group_type", "Group type", required=True, help="Such as company."),
            Field("group_value", "Group", required=True, help="Such as its id."),
            fields.MIN_ID_LENGTH,
        ),
        internal=("min_id_length",),
    ),
    Action(
        "mapUser",
        "Map user",
        identities.map_user,
        help="Makes a user id stand for another.",
        trigger='type = "alias"',
        fields=(
            mapped("user_id", "User id", "previousId"),
            mapped("global_user_id", "Global user id", "userId"),
            fields.MIN_ID_LENGTH,
        ),
    ),
)

DESTINATION = Destination(
    slug="amplitude",
    name="Amplitude",
    aliases=("Actions Amplitude",),
    help="Product analytics: events, orders, and properties of persons and groups.",
    website="https://amplitude.com",
    sources=(
        "https://amplitude.com/docs/apis/analytics/http-v2",
        "https://amplitude.com/docs/apis/analytics/batch-event-upload",
        "https://amplitude.com/docs/apis/analytics/identify",
        "https://amplitude.com/docs/apis/analytics/group-identify",
    ),
    settings=(
        Setting("apiKey", "API key", required=True, secret=True),
        Setting(
            "secretKey",
            "Secret key",
            help="Only used to check the settings.",
            required=True,
            secret=True,
        ),
        Setting(
            "endpoint",
            "Region",
            default="north_america",
            choices=(Choice("north_america", "North America"), Choice("europe", "Europe")),
        ),
    ),
    actions=_ACTIONS,
    presets=(
        Preset("Track calls", "logEventV2", 'type = "track" and event != "Order Completed"'),
        Preset("Orders", "logPurchase", 'type = "track" and event = "Order Completed"'),
        Preset("Page calls", "logEventV2", 'type = "page"', _VIEWED),
        Preset("Screen calls", "logEventV2", 'type = "screen"', _VIEWED),
        Preset("Identify calls", "identifyUser"),
    ),
    check=_check,
    test_mode="Use the API key of a test project: Amplitude has no dry run.",
    limits=(
        "1 MB and 2,000 events a request (batch endpoint: 20 MB); 30 events a second per person.",
        "User ids and device ids of fewer than 5 characters are refused unless min_id_length is "
        "set.",
        "Events with the same insert id within 7 days count once.",
    ),
)
