"""Persons, groups and which ids are one person.

Sources: https://amplitude.com/docs/apis/analytics/identify,
https://amplitude.com/docs/apis/analytics/group-identify,
https://amplitude.com/docs/apis/analytics/user-mapping
"""

from __future__ import annotations

import msgspec

from penstock.destinations.catalog.amplitude.events import milliseconds
from penstock.destinations.catalog.amplitude.hosts import endpoint
from penstock.destinations.catalog.amplitude.people import (
    by_user_agent,
    campaign,
    joined,
    set_platform,
)
from penstock.destinations.catalog.common.fields import renamed
from penstock.destinations.contract import Call, Json, Request, Steps

__all__ = ["group_identify", "identify", "map_user"]

_STEERING = {
    "utm_properties",
    "referrer",
    "userAgent",
    "userAgentParsing",
    "includeRawUserAgent",
    "userAgentData",
    "min_id_length",
    "library",
}


def identify(call: Call) -> Steps:
    """Sets a person's properties, without an event."""
    payload = call.payload
    person = {key: value for key, value in payload.items() if key not in _STEERING}
    set_platform(person, payload.get("library"))
    told = campaign(payload)
    if told:
        own = person.get("user_properties") or {}
        kept = {k: v for k, v in own.items() if k not in ("utm_properties", "referrer")}
        person["user_properties"] = joined(kept, *told)
    whole = {**by_user_agent(payload), **person, "library": "segment"}
    yield _form(call, "identify", "identification", whole)
    return None


def group_identify(call: Call) -> Steps:
    """Puts the person into the group, then sets the group's properties."""
    payload = call.payload
    group = {payload["group_type"]: payload["group_value"]}
    if payload.get("user_id") or payload.get("device_id"):
        member = {
            **renamed(payload, {key: key for key in ("user_id", "device_id", "insert_id")}),
            "groups": group,
            "user_properties": group,
            "library": "segment",
            "time": milliseconds(payload.get("time") or call.now.isoformat()),
        }
        yield _form(call, "identify", "identification", [member])
    told = renamed(payload, {key: key for key in ("group_properties", "group_type", "group_value")})
    yield _form(call, "groupidentify", "identification", [{**told, "library": "segment"}])
    return None


def map_user(call: Call) -> Steps:
    """Makes one user id stand for another."""
    yield _form(call, "usermap", "mapping", [call.payload])
    return None


def _form(call: Call, name: str, key: str, value: Json) -> Request:
    form = {"api_key": call.settings["apiKey"], key: _text(value)}
    least = call.payload.get("min_id_length")
    if least and least > 0:
        form["options"] = _text({"min_id_length": least})
    return Request("POST", endpoint(name, call.settings), form=form)


def _text(value: Json) -> str:
    return msgspec.json.encode(value).decode()
