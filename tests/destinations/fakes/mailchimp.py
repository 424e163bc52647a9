"""Mailchimp's Marketing API 3.0 for one audience, refusing what its documentation refuses.

Sources: mailchimp.com/developer/marketing/api/list-members/add-or-update-list-member/ (fields of
the body, MD5 of the e-mail in small letters), .../list-members/update-list-member/,
.../list-member-events/add-event/ (names of 2 to 30 characters, properties are texts),
.../list-member-tags/add-or-remove-member-tags/, .../docs/merge-fields/ (tags of ten characters,
ADDRESS needs addr1, city, state and zip, BIRTHDAY is MM/DD), .../docs/fundamentals/ (basic
authentication, host by data centre), and github.com/mailchimp/mailchimp-sdk-ios/issues/70.
"""

from __future__ import annotations

import hashlib
import json
import re

from penstock.destinations.contract import Answer, Request
from tests.destinations.fakes.feeding import basic
from tests.destinations.fakes.strict import (
    Check,
    Json,
    Wrong,
    boolean,
    list_of,
    nonempty,
    number,
    object_of,
    one_of,
    text,
)

__all__ = ["AUDIENCE", "KEY", "Audience"]

KEY = "0123456789abcdef0123456789abcdef-us6"
AUDIENCE = "a1b2c3d4e5"
_STATUS = one_of("subscribed", "unsubscribed", "cleaned", "pending", "transactional")


def _matching(pattern: str) -> Check:
    def check(value: Json, place: str) -> None:
        text(value, place)
        if re.fullmatch(pattern, value) is None:
            raise Wrong(f"{place} is not as it should be: {value!r}")

    return check


_EMAIL = _matching(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_PLACE = object_of(
    {
        **dict.fromkeys(("addr1", "city", "state", "zip"), nonempty),
        **dict.fromkeys(("addr2", "country"), text),
    },
    required=("addr1", "city", "state", "zip"),
)


def _merge_fields(value: Json, place: str) -> None:
    if not isinstance(value, dict):
        raise Wrong(f"{place} is no object")
    known: dict[str, Check] = {
        "FNAME": text,
        "LNAME": text,
        "PHONE": text,
        "ADDRESS": _PLACE,
        "BIRTHDAY": _matching(r"(0[1-9]|1[0-2])/(0[1-9]|[12]\d|3[01])"),
    }
    for tag, inner in value.items():
        _matching("[A-Z0-9_]{1,10}")(tag, f"{place}: a tag")
        known.get(tag, text if isinstance(inner, str) else number)(inner, f"{place}.{tag}")


def _interests(value: Json, place: str) -> None:
    object_of({key: boolean for key in value})(value, place)


def _properties(value: Json, place: str) -> None:
    if not isinstance(value, dict):
        raise Wrong(f"{place} is no object")
    for key, inner in value.items():
        text(inner, f"{place}.{key}")


_MEMBER: dict[str, Check] = {
    "email_address": _EMAIL,
    "status_if_new": _STATUS,
    "status": _STATUS,
    "email_type": one_of("html", "text"),
    "merge_fields": _merge_fields,
    "interests": _interests,
    "language": _matching("[a-z]{2}(_[A-Z]{2})?"),
    "vip": boolean,
}
_UPSERT = object_of(_MEMBER, ("email_address", "status_if_new"))
_UPDATE = object_of({key: _MEMBER[key] for key in _MEMBER if key != "status_if_new"})
_EVENT = object_of(
    {
        "name": _matching(r"\S{2,30}"),
        "properties": _properties,
        "is_syncing": boolean,
        "occurred_at": _matching(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)"),
    },
    required=("name",),
)
_TAGS = object_of(
    {
        "tags": list_of(
            object_of(
                {"name": nonempty, "status": one_of("active", "inactive")}, ("name", "status")
            )
        ),
        "is_syncing": boolean,
    },
    required=("tags",),
)


class Audience:
    """Knows its members by hash."""

    def __init__(self) -> None:
        self.members: dict[str, dict[str, Json]] = {}

    def __call__(self, request: Request) -> Answer:
        """PUT and PATCH a member, POST its events and tags."""
        if request.headers.get("Authorization") != basic("apiKey", KEY):
            raise Wrong("API Key Invalid", 401)
        place = re.fullmatch(
            rf"https://us6\.api\.mailchimp\.com/3\.0/lists/{AUDIENCE}/members/([0-9a-f]{{32}})"
            r"(/events|/tags)?",
            request.url,
        )
        if place is None:
            raise Wrong(f"there is no {request.url}", 404)
        kind = f"{request.method} {place[2] or ''}".strip()
        if kind == "PUT":
            return self._put(place[1], request)
        checks = {"PATCH": _UPDATE, "POST /events": _EVENT, "POST /tags": _TAGS}
        if kind not in checks or request.query:
            raise Wrong(f"there is no {kind}", 405)
        checks[kind](request.json, "body")
        if place[1] not in self.members:
            return Answer(404, {}, b'{"title":"Resource Not Found"}')
        if kind == "PATCH":
            self.members[place[1]] |= request.json
        return Answer(200 if kind == "PATCH" else 204, {}, b"{}" if kind == "PATCH" else b"")

    def _put(self, known_as: str, request: Request) -> Answer:
        if (request.query or {}).items() - {("skip_merge_validation", "true")}:
            raise Wrong(f"the query is unknown: {request.query}")
        body = request.json
        _UPSERT(body, "body")
        email = body["email_address"].lower().encode()
        if known_as != hashlib.md5(email, usedforsecurity=False).hexdigest():
            raise Wrong("the hash in the address is not that of the e-mail in small letters")
        before = self.members.get(known_as, {"status": body["status_if_new"]})
        self.members[known_as] = before | body
        return Answer(200, {}, json.dumps(self.members[known_as]).encode())
