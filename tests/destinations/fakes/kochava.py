"""Kochava's server-to-server API, refusing what its documentation refuses.

Sources: support.kochava.com/server-to-server-integration/post-install-event-setup/ and
.../install-notification-setup/ (properties and which are required, user agent encoded, at least
one device id), .../reference-information/post-install-event-examples (raw keys and their types,
reserved keys), .../server-to-server-integration/identitylink-setup; usertime in seconds,
device_limit_tracking and app_tracking_transparency as in the definition that Kochava maintains in
github.com/segmentio/action-destinations (kochava/types.ts).
"""

from __future__ import annotations

import re

from penstock.destinations.contract import Answer, Request
from tests.destinations.fakes.strict import (
    Check,
    Json,
    Wrong,
    boolean,
    integer,
    nonempty,
    number,
    object_of,
    one_of,
    text,
)

__all__ = ["GUID", "api"]

GUID = "kogamerdna114e9bb3481258"
_RESERVED = """
    network source fb_campaign campaign site creative attribution_type integration_type
    integration_version cracked jailbroken
"""
_RAW: dict[str, Check] = {
    **dict.fromkeys(("user_id", "name", "content_id", "currency", "query", "order_id"), text),
    **dict.fromkeys(("sum", "price", "quantity"), number),
}


def _ids(value: Json, place: str) -> None:
    object_of(dict.fromkeys(("idfa", "idfv", "adid", "android_id"), nonempty))(value, place)
    if not value:
        raise Wrong(f"{place} needs one id")


def _encoded(value: Json, place: str) -> None:
    text(value, place)
    if re.fullmatch("([A-Za-z0-9_.~!*'()-]|%[0-9A-F]{2})*", value) is None:
        raise Wrong(f"{place} is not encoded: {value!r}")


def _seconds(value: Json, place: str) -> None:
    integer(value, place)
    if not 10**9 <= value < 10**10:
        raise Wrong(f"{place} is no time in seconds: {value!r}")


def _event_data(value: Json, place: str) -> None:
    if not isinstance(value, dict):
        raise Wrong(f"{place} is no object")
    for key, inner in value.items():
        if key in _RESERVED.split():
            raise Wrong(f"{place}.{key} is reserved")
        if inner is None:
            raise Wrong(f"{place}.{key} is null")
    named = {key: inner for key, inner in value.items() if key in _RAW}
    object_of(_RAW)(named, place)


_DATA: dict[str, Check] = {
    "device_ids": _ids,
    "device_ua": _encoded,
    "device_ver": text,
    "origination_ip": text,
    "app_version": nonempty,
    "usertime": _seconds,
    "device_limit_tracking": boolean,
    "app_tracking_transparency": object_of(
        {"att": boolean, "att_time": _seconds, "att_duration": number, "att_detail": nonempty}
    ),
}
_NEEDED = ("device_ids", "device_ua", "device_ver", "origination_ip")
_EVENT = {"event_name": nonempty, "event_data": _event_data, "currency": nonempty}
_ACTIONS = {
    "install": object_of({**_DATA, "ad_services_token": nonempty}, _NEEDED),
    "event": object_of({**_DATA, **_EVENT}, (*_NEEDED, "event_name")),
}
_TOLD = object_of(
    {
        "action": one_of(*_ACTIONS),
        "kochava_app_id": one_of(GUID),
        "kochava_device_id": text,
        "data": lambda value, place: None,
    },
    ("action", "kochava_app_id", "kochava_device_id", "data"),
)


def _identities(value: Json, place: str) -> None:
    if not isinstance(value, dict) or not value:
        raise Wrong(f"{place} has no identity")
    for key, inner in value.items():
        nonempty(inner, f"{place}.{key}")


_LINK = object_of(
    {"kochava_app_id": one_of(GUID), "device_id": _ids, "data": _identities},
    ("kochava_app_id", "device_id", "data"),
)


def api(request: Request) -> Answer:
    """POST /track/json and /v1/cpi/identityLink.php."""
    place = request.url.removeprefix("https://control.kochava.com")
    if request.method != "POST" or place not in ("/track/json", "/v1/cpi/identityLink.php"):
        raise Wrong(f"there is no {request.method} {request.url}", 404)
    if place == "/track/json":
        _TOLD(request.json, "body")
        _ACTIONS[request.json["action"]](request.json["data"], "data")
    else:
        _LINK(request.json, "body")
    return Answer(200, {}, b'{"success":"1"}')
