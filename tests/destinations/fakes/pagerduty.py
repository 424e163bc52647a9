"""PagerDuty's Events API V2, refusing what its documentation refuses.

Sources: developer.pagerduty.com/docs/send-alert-event and /send-change-event (tables of
parameters, lengths, links and images; changes take links only), and the schema in
github.com/PagerDuty/api-schema: reference/events-v2/openapiv3.json.
"""

from __future__ import annotations

import json
import re

from penstock.destinations.catalog.common.times import instant
from penstock.destinations.contract import Answer, Request
from tests.destinations.fakes.strict import (
    Check,
    Json,
    Wrong,
    anything,
    list_of,
    nonempty,
    object_of,
    one_of,
    text,
)

__all__ = ["KEY", "events"]

KEY = "0123456789abcdef0123456789abcdef"


def _at_most(length: int) -> Check:
    def check(value: Json, place: str) -> None:
        nonempty(value, place)
        if len(value) > length:
            raise Wrong(f"{place} has more than {length} characters")

    return check


def _time(value: Json, place: str) -> None:
    nonempty(value, place)
    if re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", value) is None or instant(value) is None:
        raise Wrong(f"{place} is no time: {value!r}")


def _address(start: str) -> Check:
    def check(value: Json, place: str) -> None:
        nonempty(value, place)
        if re.match(start, value) is None:
            raise Wrong(f"{place} is no such address: {value!r}")

    return check


def _routing_key(value: Json, place: str) -> None:
    nonempty(value, place)
    if value != KEY:
        raise Wrong(f"{place}: Length of 'routing_key' is incorrect, or it is another's")


def _details(value: Json, place: str) -> None:
    if not isinstance(value, dict):
        raise Wrong(f"{place} is no object: {value!r}")


_LINKS = list_of(object_of({"href": _address("https?://"), "text": text}, ("href",)))
_IMAGES = list_of(object_of({"src": _address("https://"), "href": nonempty, "alt": text}, ("src",)))
_TOLD: dict[str, Check] = {
    "summary": _at_most(1024),
    "source": nonempty,
    "timestamp": _time,
    "custom_details": _details,
}
_PROBLEM = _TOLD | {
    "severity": one_of("critical", "error", "warning", "info"),
    **dict.fromkeys(("component", "group", "class"), nonempty),
}
_TRIGGER = object_of(
    {
        "routing_key": _routing_key,
        "event_action": one_of("trigger"),
        "dedup_key": _at_most(255),
        "payload": object_of(_PROBLEM, ("summary", "source", "severity")),
        "client": nonempty,
        "client_url": nonempty,
        "links": _LINKS,
        "images": _IMAGES,
    },
    required=("routing_key", "payload"),
)
_FOLLOW_UP = object_of(
    {"routing_key": _routing_key, "event_action": anything, "dedup_key": _at_most(255)},
    required=("routing_key", "dedup_key"),
)
_CHANGE = object_of(
    {
        "routing_key": _routing_key,
        "payload": object_of(_TOLD, ("summary",)),
        "links": _LINKS,
    },
    required=("routing_key", "payload"),
)


def events(request: Request) -> Answer:
    """POST /v2/enqueue and /v2/change/enqueue, in both regions."""
    place = re.fullmatch(
        r"https://events(?:\.eu)?\.pagerduty\.com/v2/(change/)?enqueue", request.url
    )
    if request.method != "POST" or place is None or request.query:
        raise Wrong(f"there is no {request.method} {request.url}", 404)
    body = request.json
    if len(json.dumps(body)) > 512 * 1024:
        raise Wrong("the event is larger than 512 KB", 413)
    if place[1]:
        _CHANGE(body, "body")
        return _accepted({})
    action = body.get("event_action") if isinstance(body, dict) else None
    one_of("trigger", "acknowledge", "resolve")(action, "body.event_action")
    (_TRIGGER if action == "trigger" else _FOLLOW_UP)(body, "body")
    return _accepted({"dedup_key": body.get("dedup_key", "made up")})


def _accepted(more: dict[str, str]) -> Answer:
    told = {"status": "success", "message": "Event processed"} | more
    return Answer(202, {"content-type": "application/json"}, json.dumps(told).encode())
