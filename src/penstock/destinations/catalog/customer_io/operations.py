"""From payloads to operations: what each action of Customer.io does."""

from __future__ import annotations

import math

from penstock.destinations.catalog.common.times import unix_seconds, with_unix_seconds
from penstock.destinations.catalog.customer_io.entities import Operation, host, identifiers
from penstock.destinations.contract import Call, Json, Payload, Request, Steps

__all__ = [
    "add_device",
    "delete_device",
    "delete_object",
    "delete_person",
    "delete_relationship",
    "event",
    "identify_object",
    "identify_person",
    "merge",
    "page",
    "report_content",
    "report_delivery",
    "screen",
    "suppress",
    "unsuppress",
]

_SHARED = ("anonymous_id", "timestamp", "convert_timestamp")
_NOT_ATTRIBUTES = ("object_type_id", "objectTypeId", "relationshipAttributes")
_METRIC_WORDS = ("recipient", "reason", "href")
_METRIC_DETAILS = ("action_name", "action_value")


def _without(payload: Payload, *keys: str) -> Payload:
    return {key: value for key, value in payload.items() if key not in keys}


def identify_person(payload: Payload) -> Operation:
    """Attributes, and to which object the person belongs."""
    own = _without(
        payload.get("custom_attributes") or {}, "createdAt", "created_at", *_NOT_ATTRIBUTES
    )
    own |= {key: payload[key] for key in ("created_at", "email") if payload.get(key)}
    told = {key: payload[key] for key in _SHARED if key in payload}
    told |= {"email": payload.get("email"), "person_id": payload.get("id"), "attributes": own}
    if payload.get("group_id"):
        known = identifiers(
            object_id=payload["group_id"], object_type_id=payload.get("object_type_id") or ""
        )
        told["cio_relationships"] = [_relationship(known, payload.get("relationship_attributes"))]
    return "person", "identify", told


def identify_object(payload: Payload) -> Operation:
    """Attributes of an object, and which person belongs to it."""
    person, anonymous = payload.get("user_id"), payload.get("anonymous_id")
    told: Payload = {}
    if payload.get("created_at"):
        told["created_at"] = payload["created_at"]
    if (own := payload.get("custom_attributes")) is not None:
        told["attributes"] = _without(own, *_NOT_ATTRIBUTES)
    related = payload.get("relationship_attributes")
    if payload.get("convert_timestamp"):
        told = with_unix_seconds(told)
        related = related and with_unix_seconds(related)
    told |= {
        "object_id": payload["id"],
        "object_type_id": payload.get("object_type_id") or "1",
        "anonymous_id": anonymous,
    }
    if person or anonymous:
        known = identifiers(person_id=person) if person else {"anonymous_id": anonymous}
        told["cio_relationships"] = [_relationship(known, related)]
    action = "identify_anonymous" if anonymous and not person else "identify"
    return "object", action, told


def _relationship(known: Json, attributes: Json) -> dict[str, Json]:
    made = {"identifiers": known}
    return made if attributes is None else made | {"relationship_attributes": attributes}


def add_device(payload: Payload) -> Operation:
    """The device's token with the version of the app as an attribute."""
    attributes = dict(payload.get("attributes") or {})
    if payload.get("app_version"):
        attributes["app_version"] = payload["app_version"]
    device = {"token": payload["device_id"], "platform": payload["platform"]}
    if payload.get("last_used"):
        device["last_used"] = payload["last_used"]
    told = {key: payload[key] for key in ("person_id", "convert_timestamp") if key in payload}
    return "person", "add_device", told | {"device": device | {"attributes": attributes}}


def delete_device(payload: Payload) -> Operation:
    """By its token."""
    told = {"person_id": payload["person_id"], "device": {"token": payload["device_id"]}}
    return "person", "delete_device", told


def delete_person(payload: Payload) -> Operation:
    """The person and all that is known of them."""
    return "person", "delete", payload


def delete_object(payload: Payload) -> Operation:
    """The object."""
    return "object", "delete", payload


def delete_relationship(payload: Payload) -> Operation:
    """Between a person and an object; both stay."""
    known = identifiers(payload.get("person_id") or "", payload.get("anonymous_id") or "")
    told = _without(payload, "person_id")
    return "object", "delete_relationships", told | {"cio_relationships": [{"identifiers": known}]}


def suppress(payload: Payload) -> Operation:
    """No more messages, and no more events are taken."""
    return "person", "suppress", payload


def unsuppress(payload: Payload) -> Operation:
    """Undoes ``suppress``."""
    return "person", "unsuppress", payload


def merge(payload: Payload) -> Operation:
    """All that is known of the secondary person goes to the primary one."""
    told = {key: identifiers(payload[key]) for key in ("primary", "secondary")}
    return "person", "merge", told


def event(payload: Payload) -> Operation:
    """An event with its name."""
    return _happening("event", payload["name"], payload)


def page(payload: Payload) -> Operation:
    """A page, named by its address."""
    return _happening("page", payload["url"], payload)


def screen(payload: Payload) -> Operation:
    """A screen of an app."""
    return _happening("screen", payload["name"], payload)


def _happening(action: str, name: str, payload: Payload) -> Operation:
    told = {key: payload[key] for key in _SHARED if key in payload}
    told |= {"name": name, "person_id": payload.get("id"), "attributes": payload.get("data")}
    if payload.get("event_id"):
        told["id"] = payload["event_id"]
    return "person", action, told


def report_content(payload: Payload) -> Operation:
    """That content was seen or clicked."""
    told = {key: payload[key] for key in _SHARED if key in payload}
    told["name"] = payload["actionType"]
    if (own := payload.get("data")) is not None:
        told["attributes"] = _without(own, "actionType") if own.get("actionType") else own
    return "person", payload["actionType"], told


def report_delivery(call: Call) -> Steps:
    """What became of a message; goes to version 1 of the API, which has no batches for it."""
    payload = call.payload
    metric = {
        "delivery_id": payload["delivery_id"],
        "metric": payload["metric"],
        "timestamp": _seconds(payload.get("timestamp"), math.floor(call.now.timestamp())),
    }
    metric |= {key: payload[key] for key in _METRIC_WORDS if payload.get(key)}
    if details := {key: payload[key] for key in _METRIC_DETAILS if payload.get(key)}:
        metric["metadata"] = details
    yield Request("POST", f"{host(call.settings)}/api/v1/metrics", json=metric)
    return None


def _seconds(given: Json, now: int) -> Json:
    try:
        number = float(unix_seconds(given))
    except (TypeError, ValueError):
        return now
    return int(number) if number.is_integer() else number
