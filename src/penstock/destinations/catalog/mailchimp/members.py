"""Members of an audience, as Mailchimp takes them."""

from __future__ import annotations

import json
import re

from penstock.destinations.catalog.common.addresses import mail_address
from penstock.destinations.catalog.common.hashing import hash_text, strip
from penstock.destinations.catalog.common.times import moment
from penstock.destinations.contract import (
    Call,
    InvalidPayload,
    Json,
    Payload,
    Request,
    Settings,
    Skipped,
    Steps,
)

__all__ = ["put_member", "root", "tag_member", "tell_event", "unsubscribe"]

_MERGED = {"FNAME": "first_name", "LNAME": "last_name", "PHONE": "phone"}
_ALIKE = ("email_type", "status", "language", "vip", "interests")
_PLACE = ("addr1", "city", "state", "zip")
_TAG = 10
_NAME = 30


def root(settings: Settings) -> str:
    """The address of the API; the key names its data centre after the dash."""
    center = settings.get("datacenter") or str(settings["apiKey"]).rpartition("-")[2]
    return f"https://{center}.api.mailchimp.com/3.0"


def put_member(call: Call) -> Steps:
    """Add or update; whether a member wants mail stays as it is unless ``status`` is mapped."""
    given = call.payload
    email = mail_address(given["email"])
    newly = "pending" if call.settings.get("double_opt_in") else "subscribed"
    body = {
        "email_address": email,
        "status_if_new": given.get("status_if_new", newly),
        **{key: given[key] for key in _ALIKE if key in given},
    }
    if merged := _merge_fields(given):
        body["merge_fields"] = merged
    query = {"skip_merge_validation": "true"}
    yield Request("PUT", _member(call, email), query=query, json=body)
    return None


def unsubscribe(call: Call) -> Steps:
    """No more mail; nothing for somebody who is no member."""
    place = _member(call, mail_address(call.payload["email"]))
    answer = yield Request("PATCH", place, json={"status": "unsubscribed"}, accept=(404,))
    if answer.status == 404:
        raise Skipped("there is no member with this e-mail")
    return None


def tag_member(call: Call) -> Steps:
    """Put tags on a member and take others off."""
    given = call.payload
    tags = [
        {"name": name, "status": status}
        for key, status in (("add", "active"), ("remove", "inactive"))
        for name in given.get(key, ())
        if name
    ]
    if not tags:
        raise InvalidPayload("there is no tag to add or to remove")
    yield Request(
        "POST", f"{_member(call, mail_address(given['email']))}/tags", json={"tags": tags}
    )
    return None


def tell_event(call: Call) -> Steps:
    """An event of a member, which may start an automation."""
    given = call.payload
    name = re.sub(r"\s+", "_", strip(given["name"]))[:_NAME]
    if len(name) < 2:
        raise InvalidPayload("name must have at least two characters")
    body: dict[str, Json] = {"name": name}
    told = {key: _text(value) for key, value in given.get("properties", {}).items()}
    if told := {key: value for key, value in told.items() if value is not None}:
        body["properties"] = told
    if (when := moment(given.get("occurred_at"))) is not None:
        body["occurred_at"] = f"{when:%Y-%m-%dT%H:%M:%S}+00:00"
    if "is_syncing" in given:
        body["is_syncing"] = given["is_syncing"]
    yield Request("POST", f"{_member(call, mail_address(given['email']))}/events", json=body)
    return None


def _member(call: Call, email: str) -> str:
    audience = call.payload.get("list_id") or call.settings["listId"]
    return f"{root(call.settings)}/lists/{audience}/members/{hash_text(email.lower(), 'md5')}"


def _merge_fields(given: Payload) -> dict[str, Json]:
    """Own fields come last: they are what the user asked for."""
    made = {tag: given[key] for tag, key in _MERGED.items() if key in given}
    if (day := _birthday(given.get("birthday"))) is not None:
        made["BIRTHDAY"] = day
    address = {key: value for key, value in given.get("address", {}).items() if value}
    if all(address.get(key) for key in _PLACE):
        made["ADDRESS"] = address
    own = given.get("merge_fields", {}).items()
    return made | {_tag(key): value for key, value in own if _fits(value)}


def _tag(name: str) -> str:
    return re.sub(r"\W", "", name, flags=re.ASCII)[:_TAG].upper()


def _fits(value: Json) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _birthday(value: Json) -> str | None:
    """``MM/DD``."""
    if isinstance(value, str) and re.fullmatch(r"(0[1-9]|1[0-2])/(0[1-9]|[12]\d|3[01])", value):
        return value
    when = moment(value)
    return None if when is None else f"{when:%m/%d}"


def _text(value: Json) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
