"""Mixpanel: events, orders, profiles of persons and groups."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace

from penstock.destinations.catalog.common.fields import mapped
from penstock.destinations.catalog.mixpanel import events, people
from penstock.destinations.catalog.mixpanel.fields import (
    EVENT,
    EVENT_FIELDS,
    PERSON_FIELDS,
    PRODUCTS,
)
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

_BATCH = Batch(size=1000, bytes=9_000_000)
_VIEWED = {"event": {"@template": "Viewed {{name}}"}}


def _authorize(request: Request, settings: Settings, token: str) -> Request:
    """The import endpoint asks for the secret; the others take the token in the body."""
    if "/import?" not in request.url:
        return request
    who = settings.get("apiSecret") or settings["projectToken"]
    basic = b64encode(f"{who}:".encode()).decode()
    return replace(request, headers={**request.headers, "Authorization": f"Basic {basic}"})


def _check(settings: Settings) -> Request:
    url = "https://mixpanel.com/api/app/validate-project-credentials/"
    return Request("POST", url, json={"project_token": settings["projectToken"]})


_ACTIONS = (
    Action(
        "trackEvent",
        "Track event",
        events.send_events,
        help="An event.",
        trigger='type = "track"',
        fields=(EVENT, *EVENT_FIELDS),
        batch=_BATCH,
        internal=("context",),
    ),
    Action(
        "trackPurchase",
        "Track purchase",
        events.send_purchases,
        help="An order, and an event Product Purchased for each of its products.",
        trigger='type = "track"',
        fields=(
            Field(
                "generatePurchaseEventPerProduct",
                "An event for each product",
                "boolean",
                default=True,
            ),
            *EVENT_FIELDS,
            PRODUCTS,
            EVENT,
        ),
        batch=_BATCH,
        internal=("context", "generatePurchaseEventPerProduct"),
    ),
    Action(
        "identifyUser",
        "Identify user",
        people.identify,
        help="Joins the anonymous id to the user id and sets properties of the person.",
        trigger='type = "identify"',
        fields=(*PERSON_FIELDS, mapped("traits", "User properties", "traits", type="object")),
    ),
    Action(
        "groupIdentifyUser",
        "Group identify",
        people.group_identify,
        help="Sets properties of a group.",
        trigger='type = "group"',
        fields=(
            Field("group_key", "Group key", help="As in the project's settings; else $group_id."),
            mapped("group_id", "Group id", "groupId", required=True),
            mapped("traits", "Group properties", "traits", type="object"),
        ),
    ),
    Action(
        "alias",
        "Alias",
        people.alias,
        help="Another id for a person. Only for projects with the legacy identity management.",
        trigger='type = "alias"',
        fields=(
            mapped("alias", "Alias", "userId", "anonymousId", allow_null=True),
            mapped("distinct_id", "Distinct id", "previousId"),
        ),
    ),
    Action(
        "incrementProperties",
        "Increment properties",
        people.increment,
        help="Adds to numbers of the profile, such as {purchases: 1}; at most 20 at once.",
        trigger='type = "track"',
        fields=(
            *PERSON_FIELDS,
            mapped("increment", "Steps", "properties.increment", type="object", required=True),
        ),
    ),
)

DESTINATION = Destination(
    slug="mixpanel",
    name="Mixpanel",
    aliases=("Mixpanel (Actions)",),
    help="Product analytics: events, orders, and profiles of persons and groups.",
    website="https://mixpanel.com",
    sources=(
        "https://developer.mixpanel.com/reference/import-events",
        "https://developer.mixpanel.com/reference/profile-set",
        "https://developer.mixpanel.com/reference/group-set-property",
        "https://docs.mixpanel.com/docs/privacy/eu-residency",
    ),
    settings=(
        Setting("projectToken", "Project token", required=True, example="token"),
        Setting("apiSecret", "API secret", help="Else the token shows who we are.", secret=True),
        Setting(
            "apiRegion",
            "Region",
            default="us",
            choices=(
                Choice("us", "United States"),
                Choice("eu", "European Union"),
                Choice("in", "India"),
            ),
        ),
        Setting("sourceName", "Source name", help="Sent as segment_source_name."),
        Setting(
            "strictMode",
            "Strict mode",
            help="On: Mixpanel checks each event and says which were not taken.",
            default="on",
            choices=(Choice("on"), Choice("off")),
        ),
    ),
    actions=_ACTIONS,
    presets=(
        Preset("Track calls", "trackEvent", 'type = "track" and event != "Order Completed"'),
        Preset("Orders", "trackPurchase", 'type = "track" and event = "Order Completed"'),
        Preset("Page calls", "trackEvent", 'type = "page"', _VIEWED),
        Preset("Screen calls", "trackEvent", 'type = "screen"', _VIEWED),
        Preset("Identify calls", "identifyUser"),
        Preset("Group calls", "groupIdentifyUser"),
    ),
    authorize=_authorize,
    check=_check,
    test_mode="Use the token of a test project: Mixpanel has no dry run.",
    limits=(
        "2,000 events and 10 MB a request; 2 GB and about 30,000 events a second per project.",
        "Properties: 255 an event, 255 characters each text.",
        "Events older than 5 years are not taken; those with the same insert id, time, name and "
        "distinct id count once.",
    ),
)
