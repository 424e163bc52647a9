"""Users and their events, as Vero's Track API takes them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from penstock.destinations.catalog.common.addresses import is_mail_address
from penstock.destinations.catalog.common.devices import platform_of
from penstock.destinations.catalog.common.fields import renamed
from penstock.destinations.catalog.common.hashing import strip
from penstock.destinations.catalog.common.times import moment
from penstock.destinations.contract import Call, InvalidPayload, Json, Payload, Request, Steps

__all__ = ["alias_user", "edit_tags", "put_user", "tell", "tell_event"]

_ROOT = "https://api.getvero.com/api/v2"
_LENGTH = 254
_EDITS = ("add", "remove")
_RESERVED = {"timezone": "timezone", "language": "language", "userAgent": "user_agent"}


def put_user(call: Call) -> Steps:
    """Add or update a user, and put tags on and off."""
    given = call.payload
    data = {key: value for key, value in given.get("data", {}).items() if key != "email"}
    body = _identity(given)
    if given.get("phone"):
        body["phone_number"] = given["phone"]
    if channel := _channel(given):
        body["channels"] = [channel]
    if data := data | renamed(given, _RESERVED):
        body["data"] = data
    yield Request("POST", f"{_ROOT}/users/track", json=body)
    if tags := _tags(given):
        yield Request("PUT", f"{_ROOT}/users/tags/edit", json=_identity(given) | tags)
    return None


def tell_event(call: Call) -> Steps:
    """An event of a user, whom Vero adds if need be, and tags.

    The tags go last: when they are refused and all is tried again, Vero knows the event.
    """
    given = call.payload
    name = re.sub(r"\s+", " ", strip(given["event_name"]))
    if not 0 < len(name) <= _LENGTH:
        raise InvalidPayload(f"event_name must have 1 to {_LENGTH} characters")
    body: dict[str, Json] = {"identity": _identity(given), "event_name": name}
    if given.get("data"):
        body["data"] = given["data"]
    if (when := moment(given.get("created_at"))) is not None:
        body["extras"] = {"created_at": f"{when:%Y-%m-%dT%H:%M:%S}+0000"}
    yield Request("POST", f"{_ROOT}/events/track", json=body)
    if tags := _tags(given):
        yield Request("PUT", f"{_ROOT}/users/tags/edit", json=_identity(given) | tags)
    return None


def alias_user(call: Call) -> Steps:
    """The user of the old id has a new one from now on."""
    body = renamed(call.payload, {"id": "previous_id", "new_id": "id"})
    for key, value in body.items():
        _check_length(key, value)
    yield Request("PUT", f"{_ROOT}/users/reidentify", json=body)
    return None


def edit_tags(call: Call) -> Steps:
    """Put tags on a user and take others off."""
    tags = _tags(call.payload)
    if not tags:
        raise InvalidPayload("there is no tag to add or to remove")
    yield Request("PUT", f"{_ROOT}/users/tags/edit", json=_identity(call.payload) | tags)
    return None


def tell(call: Call, what: str) -> Steps:
    """One of those that need nothing but the user: unsubscribe, resubscribe, delete."""
    yield Request("POST", f"{_ROOT}/users/{what}", json=_identity(call.payload))
    return None


def _identity(given: Mapping[str, Json]) -> dict[str, Json]:
    """``id`` and ``email``, of which Vero needs one; what is no address is left out."""
    known: dict[str, Json] = {}
    if given.get("id"):
        known["id"] = given["id"]
    email = strip(given.get("email", ""))
    if is_mail_address(email):
        known["email"] = email
    if not known:
        raise InvalidPayload("Vero needs the user: map id, or email to an address of mail")
    for key, value in known.items():
        _check_length(key, value)
    return known


def _check_length(key: str, value: str) -> None:
    if len(value) > _LENGTH:
        raise InvalidPayload(f"{key} has more than {_LENGTH} characters")


def _channel(given: Payload) -> dict[str, Json] | None:
    """Where push messages go; only with a platform that Vero can push to."""
    platform = platform_of(given.get("platform", ""))
    if not given.get("push_token") or not platform:
        return None
    return {"type": "push", "address": given["push_token"], "platform": platform}


def _tags(given: Payload) -> dict[str, Json]:
    chosen = {key: [tag for tag in given.get(f"{key}_tags", ()) if tag] for key in _EDITS}
    return {key: tags for key, tags in chosen.items() if tags}
