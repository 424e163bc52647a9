"""Datadog's events of API v1, refusing what its documentation refuses.

Sources: docs.datadoghq.com/api/latest/events/post-an-event/ (addresses of the sites, fields, 4,000
and 100 characters, 18 hours, 202), and EventCreateRequest of github.com/DataDog/
datadog-api-client-rust: src/datadogV1/model/model_event_create_request.rs.
"""

from __future__ import annotations

import json
import re

from penstock.destinations.contract import Answer, Request
from tests.destinations.fakes.strict import (
    NOW,
    Check,
    Json,
    Wrong,
    list_of,
    nonempty,
    object_of,
    one_of,
)

__all__ = ["KEY", "events"]

KEY = "0123456789abcdef0123456789abcdef"
_SITES = "(us3|us5|ap1|ap2)\\.datadoghq\\.com|datadoghq\\.(com|eu)|(us2\\.)?ddog-gov\\.com"


def _at_most(length: int) -> Check:
    def check(value: Json, place: str) -> None:
        nonempty(value, place)
        if len(value) > length:
            raise Wrong(f"{place} has more than {length} characters")

    return check


def _whole(value: Json, place: str) -> None:
    if type(value) is not int:
        raise Wrong(f"{place} is no integer: {value!r}")


def _recent(value: Json, place: str) -> None:
    _whole(value, place)
    if not NOW.timestamp() - 18 * 3600 <= value <= NOW.timestamp() + 60:
        raise Wrong(f"{place} is older than 18 hours, or to come")


_EVENT = object_of(
    {
        "title": nonempty,
        "text": _at_most(4000),
        "aggregation_key": _at_most(100),
        "alert_type": one_of(
            "error", "warning", "info", "success", "user_update", "recommendation", "snapshot"
        ),
        "date_happened": _recent,
        "device_name": nonempty,
        "host": nonempty,
        "priority": one_of("normal", "low"),
        "related_event_id": _whole,
        "source_type_name": nonempty,
        "tags": list_of(nonempty),
    },
    required=("title", "text"),
)


def events(request: Request) -> Answer:
    """POST /api/v1/events, on each site."""
    if request.headers.get("DD-API-KEY") != KEY:
        raise Wrong("Forbidden", 403)
    place = rf"https://api\.({_SITES})/api/v1/events"
    if request.method != "POST" or re.fullmatch(place, request.url) is None or request.query:
        raise Wrong(f"there is no {request.method} {request.url}", 404)
    _EVENT(request.json, "body")
    return Answer(202, {"content-type": "application/json"}, json.dumps({"status": "ok"}).encode())
