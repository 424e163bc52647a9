"""Zendesk's Support API for one account, refusing what its documentation refuses.

Sources: developer.zendesk.com/api-reference/ticketing/users/users/ (create_or_update, JSON format,
skip_verify_email), .../organizations/organizations/ (create_or_update, unique names),
.../organizations/organization_memberships/ (a second one is refused),
.../users/events-api/events-api/ and developer.zendesk.com/documentation/ticketing/events/
tracking-events (event and profile, 202; zendesk is reserved as a source, 40 characters),
.../introduction/security-and-auth/ (e-mail/token as user name), .../introduction/requests/ (409).
"""

from __future__ import annotations

import json
import re

from penstock.destinations.contract import Answer, Request
from tests.destinations.fakes.feeding import basic
from tests.destinations.fakes.strict import (
    Check,
    Json,
    Wrong,
    boolean,
    integer,
    list_of,
    nonempty,
    object_of,
    text,
)

__all__ = ["AGENT", "TOKEN", "Account"]

AGENT = "agent@toastmates.test"
TOKEN = "6wiIBWbGkBMo1mRDMuVwkw1EPsNkeUj95PIz2akv"


def _matching(pattern: str) -> Check:
    def check(value: Json, place: str) -> None:
        nonempty(value, place)
        if re.fullmatch(pattern, value) is None:
            raise Wrong(f"{place} is not as it should be: {value!r}", 422)

    return check


def _own_fields(value: Json, place: str) -> None:
    if not isinstance(value, dict):
        raise Wrong(f"{place} is no object")
    for key, inner in value.items():
        if isinstance(inner, list | dict):
            raise Wrong(f"{place}.{key} is no value of a field", 422)


_SOURCE = _matching("(?!(?i:zendesk)$).{1,40}")
_TAGS = list_of(nonempty)
_EMAIL = _matching(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_USER = object_of(
    {
        **dict.fromkeys(
            ("name", "external_id", "phone", "time_zone", "locale", "details", "notes"), nonempty
        ),
        "email": _EMAIL,
        "tags": _TAGS,
        "organization": object_of({"name": nonempty}, ("name",)),
        "organization_id": integer,
        "user_fields": _own_fields,
        "verified": boolean,
        "skip_verify_email": boolean,
    },
    required=("name",),
)
_ORGANIZATION = object_of(
    {
        **dict.fromkeys(("name", "external_id", "details", "notes"), nonempty),
        "domain_names": list_of(text),
        "tags": _TAGS,
        "organization_fields": _own_fields,
    },
    required=("name",),
)


def _properties(value: Json, place: str) -> None:
    if not isinstance(value, dict):
        raise Wrong(f"{place} is no object")


_EVENT = object_of(
    {
        "event": object_of(
            {
                "source": _SOURCE,
                "type": _matching("(?s).{1,40}"),
                "description": text,
                "properties": _properties,
                "created_at": _matching(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)"),
            },
            required=("source", "type", "properties"),
        ),
        "profile": object_of(
            {
                "source": _SOURCE,
                "type": nonempty,
                "name": nonempty,
                "identifiers": list_of(
                    object_of({"type": nonempty, "value": nonempty}, ("type", "value"))
                ),
                "attributes": _properties,
            },
            required=("source", "type", "identifiers"),
        ),
    },
    required=("event", "profile"),
)
_MEMBERSHIP = object_of(
    {"user_id": integer, "organization_id": integer}, ("user_id", "organization_id")
)


class Account:
    """Keeps users, organizations and memberships as the real one would."""

    def __init__(self) -> None:
        self.users: list[dict[str, Json]] = []
        self.organizations: list[dict[str, Json]] = []
        self.memberships: list[dict[str, Json]] = []
        self.events = 0

    def __call__(self, request: Request) -> Answer:
        """Answer one request."""
        if request.headers.get("Authorization") != basic(f"{AGENT}/token", TOKEN):
            raise Wrong("Couldn't authenticate you", 401)
        place = re.fullmatch(r"https://toastmates\.zendesk\.com/api/v2/(.+)", request.url)
        way = f"{request.method} {place[1] if place else request.url}"
        if request.query and way != "GET users/search.json":
            raise Wrong(f"the query is unknown: {request.query}")
        if found := re.fullmatch(r"GET users/(\d+)/organization_memberships\.json", way):
            mine = [each for each in self.memberships if str(each["user_id"]) == found[1]]
            return _answer({"organization_memberships": mine})
        ways = {
            "POST users/create_or_update.json": self._user,
            "POST organizations/create_or_update.json": self._organization,
            "POST organization_memberships.json": self._join,
            "POST user_profiles/events": self._event,
            "GET users/search.json": self._search,
        }
        if way not in ways:
            raise Wrong(f"there is no {way}", 404)
        return ways[way](request)

    def _user(self, request: Request) -> Answer:
        object_of({"user": _USER}, ("user",))(request.json, "body")
        user = request.json["user"]
        if not user.keys() & {"email", "external_id"}:
            raise Wrong("neither email nor external_id tells the user", 422)
        kept = _kept(self.users, user, ("email", "external_id"))
        return _answer({"user": kept})

    def _organization(self, request: Request) -> Answer:
        object_of({"organization": _ORGANIZATION}, ("organization",))(request.json, "body")
        told = request.json["organization"]
        for each in self.organizations:
            other = each.get("external_id") != told.get("external_id")
            if other and each["name"].lower() == told["name"].lower():
                raise Wrong(f"Name: {told['name']} has already been taken", 422)
        return _answer({"organization": _kept(self.organizations, told, ("external_id",))})

    def _join(self, request: Request) -> Answer:
        object_of({"organization_membership": _MEMBERSHIP}, ("organization_membership",))(
            request.json, "body"
        )
        made = request.json["organization_membership"]
        if made in self.memberships:
            raise Wrong("User has already been taken", 422)
        if made["user_id"] > len(self.users) or made["organization_id"] > len(self.organizations):
            raise Wrong("there is no such user or organization", 422)
        self.memberships.append(made)
        return _answer({"organization_membership": made}, 201)

    def _event(self, request: Request) -> Answer:
        _EVENT(request.json, "body")
        self.events += 1
        return Answer(202)

    def _search(self, request: Request) -> Answer:
        query = request.query or {}
        if query.keys() - {"external_id", "query"} or len(query) != 1:
            raise Wrong(f"the query is unknown: {query}")
        wanted = query.get("external_id")
        return _answer(
            {"users": [each for each in self.users if each.get("external_id") == wanted]}
        )


def _kept(known: list[dict[str, Json]], told: dict[str, Json], keys: tuple[str, ...]) -> Json:
    for each in known:
        if any(key in told and each.get(key) == told[key] for key in keys):
            each.update(told)
            return each
    known.append({"id": len(known) + 1, **told})
    return known[-1]


def _answer(body: dict[str, Json], status: int = 200) -> Answer:
    return Answer(status, {"content-type": "application/json"}, json.dumps(body).encode())
