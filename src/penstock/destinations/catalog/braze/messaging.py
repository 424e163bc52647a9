"""Messages that Braze sends when it is told to: campaigns and canvases.

Sources: https://www.braze.com/docs/api/endpoints/messaging/send_messages/post_send_triggered_campaigns
and https://www.braze.com/docs/api/endpoints/messaging/send_messages/post_send_triggered_canvases
"""

from __future__ import annotations

from penstock.destinations.catalog.braze.profile import USER_ALIAS
from penstock.destinations.catalog.common.fields import mapped
from penstock.destinations.contract import (
    Call,
    Choice,
    Field,
    InvalidPayload,
    Json,
    Payload,
    Request,
    Steps,
)

__all__ = ["CAMPAIGN_FIELDS", "CANVAS_FIELDS", "trigger_campaign", "trigger_canvas"]

_PRIORITIES = tuple(
    Choice(value)
    for value in ("identified", "unidentified", "most_recently_updated", "least_recently_updated")
)
_PRIORITIZATION = Field(
    "prioritization",
    "Which profile of an e-mail address",
    "object",
    help="Needed where recipients are named by their address.",
    properties=(
        Field("first_priority", "First", choices=_PRIORITIES),
        Field("second_priority", "Second", choices=_PRIORITIES),
    ),
)
_AUDIENCE = Field("audience", "Audience", "object", help="Narrows a broadcast, as Braze words it.")
_BROADCAST = Field(
    "broadcast",
    "To all",
    "boolean",
    help="Sends to everybody whom Braze's own settings name. Not together with recipients.",
)


def _recipients(properties: str, alias: Field) -> Field:
    return Field(
        "recipients",
        "Recipients",
        "object",
        multiple=True,
        help="Up to 50, each by external_user_id, alias or e-mail.",
        properties=(
            Field("external_user_id", "External id"),
            alias,
            Field("email", "E-mail"),
            Field(properties, "Own properties", "object", help="Go before those of all."),
            Field(
                "send_to_existing_only",
                "Only known persons",
                "boolean",
                help="If false, attributes are needed; not for aliases.",
            ),
            Field("attributes", "Attributes", "object", help="Set before the message is sent."),
        ),
    )


CAMPAIGN_FIELDS = (
    Field("campaign_id", "Campaign", required=True, help="Its delivery must be API-triggered."),
    Field("send_id", "Id of the sending", help="For statistics, and to cancel it."),
    mapped("trigger_properties", "Properties for the message", "properties", type="object"),
    _BROADCAST,
    Field(
        "attachments",
        "Attachments",
        "object",
        multiple=True,
        help="Up to 2 MB each.",
        properties=(
            Field("file_name", "File name", required=True),
            Field("url", "Address", required=True),
        ),
    ),
    _recipients("trigger_properties", Field("user_alias", "User alias", "object")),
    _PRIORITIZATION,
    _AUDIENCE,
)
CANVAS_FIELDS = (
    Field("canvas_id", "Canvas", required=True, help="Its entry must be API-triggered."),
    mapped("canvas_entry_properties", "Properties for the canvas", "properties", type="object"),
    _BROADCAST,
    _recipients("canvas_entry_properties", USER_ALIAS),
    _PRIORITIZATION,
    _AUDIENCE,
)


def trigger_campaign(call: Call) -> Steps:
    """Sends a campaign."""
    return _trigger(call, "campaigns/trigger/send")


def trigger_canvas(call: Call) -> Steps:
    """Lets people enter a canvas."""
    return _trigger(call, "canvas/trigger/send")


def _trigger(call: Call, place: str) -> Steps:
    yield Request("POST", f"{call.settings['endpoint']}/{place}", json=_body(call.payload))
    return None


def _body(payload: Payload) -> dict[str, Json]:
    recipients = payload.get("recipients")
    if bool(payload.get("broadcast")) == bool(recipients):
        raise InvalidPayload("map either recipients, or broadcast as true")
    body = {key: value for key, value in payload.items() if key != "prioritization"}
    wanted = payload.get("prioritization") or {}
    order = [wanted[key] for key in ("first_priority", "second_priority") if wanted.get(key)]
    if recipients and order:
        body["recipients"] = [{**each, "prioritization": order} for each in recipients]
    return body
