"""Vero's Track API 2.0, refusing what its documentation refuses.

Sources: help.getvero.com/api-reference/track/users/identity (id, email, phone_number, channels of
type, address and platform, data), .../users/alias (PUT, id and new_id), .../tags/edit (PUT),
.../events/track (identity and name below 255 characters, a valid e-mail, extras of created_at and
source), developers.getvero.com (JSON with auth_token; unsubscribe, resubscribe, delete), and
github.com/getvero/vero, lib/vero/api/workers (add and remove are lists, one of them is needed).
"""

from __future__ import annotations

import re

from penstock.destinations.contract import Answer, Request
from tests.destinations.fakes.strict import (
    Check,
    Json,
    Wrong,
    list_of,
    nonempty,
    object_of,
    one_of,
    text,
)

__all__ = ["TOKEN", "track_api"]

TOKEN = "0123456789abcdef0123456789abcdef"
_ROOT = "https://api.getvero.com/api/v2"


def _short(value: Json, place: str) -> None:
    nonempty(value, place)
    if len(value) >= 255:
        raise Wrong(f"{place} must have less than 255 characters")


def _email(value: Json, place: str) -> None:
    _short(value, place)
    if re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s.]+", value) is None:
        raise Wrong(f"{place} is no address: {value!r}")


def _time(value: Json, place: str) -> None:
    text(value, place)
    if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}", value) is None:
        raise Wrong(f"{place} is no time: {value!r}")


def _hash(value: Json, place: str) -> None:
    if not isinstance(value, dict) or not value:
        raise Wrong(f"{place} is no hash of keys and values")


_USER: dict[str, Check] = {"id": _short, "email": _email}
_CHANNEL = object_of(
    {"type": one_of("push"), "address": nonempty, "platform": one_of("ios", "android")},
    ("type", "address", "platform"),
)
_TAG_LIST = list_of(nonempty)
_IDENTIFY = object_of(
    {**_USER, "phone_number": nonempty, "channels": list_of(_CHANNEL), "data": _hash}
)
_EVENT = object_of(
    {
        "identity": object_of(_USER),
        "event_name": _short,
        "data": _hash,
        "extras": object_of({"created_at": _time, "source": nonempty}),
    },
    ("identity", "event_name"),
)
_ALIAS = object_of({"id": _short, "new_id": _short}, ("id", "new_id"))
_TAGS = object_of({**_USER, "add": _TAG_LIST, "remove": _TAG_LIST})
_ENDPOINTS: dict[tuple[str, str], Check] = {
    ("POST", "/users/track"): _IDENTIFY,
    ("POST", "/events/track"): _EVENT,
    ("PUT", "/users/reidentify"): _ALIAS,
    ("PUT", "/users/tags/edit"): _TAGS,
    **{
        ("POST", f"/users/{what}"): object_of(_USER)
        for what in ("unsubscribe", "resubscribe", "delete")
    },
}


def track_api(request: Request) -> Answer:
    """Any of the endpoints."""
    check = _ENDPOINTS.get((request.method, request.url.removeprefix(_ROOT)))
    if check is None or not request.url.startswith(_ROOT):
        raise Wrong(f"there is no {request.method} {request.url}", 404)
    if not isinstance(request.json, dict):
        raise Wrong("the body is no JSON")
    body = dict(request.json)
    if body.pop("auth_token", None) != TOKEN:
        raise Wrong("Unauthorized", 401)
    check(body, "body")
    user = body.get("identity", body)
    if not {"id", "email"} & set(user):
        raise Wrong("Missing :id or :email")
    if check is _TAGS and not {"add", "remove"} & set(body):
        raise Wrong("Either :add or :remove must be present")
    return Answer(200, {}, b'{"status":200,"message":"Success."}')
