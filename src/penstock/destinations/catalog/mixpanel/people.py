"""Profiles of persons and groups, and which ids are one person.

Sources: https://developer.mixpanel.com/reference/profile-set,
https://developer.mixpanel.com/reference/group-set-property,
https://developer.mixpanel.com/reference/identity-create-alias
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from penstock.destinations.catalog.mixpanel.hosts import host
from penstock.destinations.contract import Call, InvalidPayload, Json, Request, Steps
from penstock.destinations.mappings.values import number_in, text_of

__all__ = ["alias", "group_identify", "identify", "increment"]

_MOST_INCREMENTS = 20
_CREATED = ("created", "createdAt", "created_at")
_RENAMED = {
    "$email": "email",
    "$first_name": "firstName",
    "$last_name": "lastName",
    "$username": "username",
    "$phone": "phone",
}


def identify(call: Call) -> Steps:
    """Joins the anonymous id to the user id, then sets the person's properties."""
    payload = call.payload
    if payload.get("anonymous_id"):
        joined = {"$anon_id": payload["anonymous_id"]}
        if "user_id" in payload:
            joined["$identified_id"] = payload["user_id"]
        yield _form(call, "track", {"event": "$identify", "properties": joined | _sender(call)})
    traits = payload.get("traits")
    if traits:
        yield _form(call, "engage", {**_person(call), "$set": _person_traits(traits)})
    return None


def group_identify(call: Call) -> Steps:
    """Sets a group's properties; a trait named like the group key tells its id."""
    payload = call.payload
    traits = payload.get("traits")
    if traits is None:
        raise InvalidPayload("traits is missing: there is nothing to say about the group")
    key = payload.get("group_key") or "$group_id"
    properties = {k: v for k, v in traits.items() if k not in (*_CREATED, "name")}
    if "name" in traits:
        properties["$name"] = traits["name"]
    group = {
        "$token": call.settings["projectToken"],
        "$group_key": key,
        "$group_id": traits.get(key) or payload["group_id"],
        "$set": properties | _created(traits),
    }
    yield _form(call, "groups", group)
    return None


def alias(call: Call) -> Steps:
    """Another id for a person; only in projects with the legacy identity management."""
    ids = {key: call.payload[key] for key in ("distinct_id", "alias") if key in call.payload}
    yield _form(call, "track", {"event": "$create_alias", "properties": ids | _sender(call)})
    return None


def increment(call: Call) -> Steps:
    """Adds to numbers of a person's profile."""
    steps = call.payload["increment"]
    if not steps:
        return None
    if len(steps) > _MOST_INCREMENTS:
        raise InvalidPayload(f"increment has more than {_MOST_INCREMENTS} properties")
    added = {
        key: _number(key, value)
        for key, value in steps.items()
        if isinstance(value, str | int | float) and not isinstance(value, bool)
    }
    yield _form(call, "engage", {**_person(call), "$add": added})
    return None


def _number(key: str, value: str | int | float) -> float:
    number = number_in(value) if isinstance(value, str) else value
    if number is None:
        raise InvalidPayload(f"increment.{key} is {value!r}, not a number")
    return number


def _person(call: Call) -> dict[str, Json]:
    payload = call.payload
    who: dict[str, Json] = {"$token": call.settings["projectToken"]}
    if payload.get("user_id") is not None:
        who["$distinct_id"] = payload["user_id"]
    elif "anonymous_id" in payload:
        who["$distinct_id"] = payload["anonymous_id"]
    if "ip" in payload:
        who["$ip"] = payload["ip"]
    return who


def _person_traits(traits: Mapping[str, Json]) -> dict[str, Json]:
    gone = {*_CREATED, *_RENAMED.values(), "name"}
    properties = {key: value for key, value in traits.items() if key not in gone}
    properties |= {new: traits[old] for new, old in _RENAMED.items() if old in traits}
    name = traits.get("name")
    first, last = traits.get("firstName"), traits.get("lastName")
    if name is None and first and last:
        name = f"{text_of(first)} {text_of(last)}"
    if name is not None:
        properties["$name"] = name
    return properties | _created(traits)


def _created(traits: Mapping[str, Json]) -> dict[str, Json]:
    for key in _CREATED:
        if traits.get(key) is not None:
            return {"$created": traits[key]}
    return {"$created": None} if _CREATED[-1] in traits else {}


def _sender(call: Call) -> dict[str, Json]:
    name = call.settings.get("sourceName")
    token = {"token": call.settings["projectToken"]}
    return token | ({"segment_source_name": name} if name else {})


def _form(call: Call, endpoint: str, data: Json) -> Request:
    text = msgspec.json.encode(data).decode()
    return Request("POST", f"{host(call.settings)}/{endpoint}", form={"data": text})
