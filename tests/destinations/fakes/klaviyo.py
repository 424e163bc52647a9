"""Klaviyo's API, revision 2025-01-15, for one account, refusing what its documentation refuses.

Sources: developers.klaviyo.com/en/v2025-01-15/reference/ create_profile (409 names the duplicate),
update_profile, get_profiles (filters, pages), bulk_import_profiles (10,000), create_event (metric
names of 128 characters), bulk_create_events (1,000), bulk_subscribe_profiles (consented_at with
historical_import), bulk_unsubscribe_profiles, add_profiles_to_list, remove_profiles_from_list; and
developers.klaviyo.com/en/reference/api_overview (headers; what a change does not name stays as it
is).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from penstock.destinations.contract import Answer, Request
from tests.destinations.fakes.strict import (
    Check,
    Json,
    Wrong,
    anything,
    boolean,
    list_of,
    nonempty,
    number,
    object_of,
    one_of,
    text,
)

__all__ = ["KEY", "Account"]

KEY = "pk_0123"
_ROOT = "https://a.klaviyo.com/api/"
_PAGE = 2
"""Profiles a page: Klaviyo has up to 100."""


def _matching(pattern: str) -> Check:
    def check(value: Json, place: str) -> None:
        text(value, place)
        if re.fullmatch(pattern, value) is None:
            raise Wrong(f"{place} is not as it should be: {value!r}")

    return check


def _optional(check: Check) -> Check:
    return lambda value, place: None if value is None else check(value, place)


_TIME = _matching(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_WHO: dict[str, Check] = {
    "email": _matching(r"[^@\s]+@[^@\s]+\.[^@\s]+"),
    "phone_number": _matching(r"\+[1-9]\d{6,14}"),
    "external_id": _matching(r"(?s).{1,255}"),
}
_LOCATION = dict.fromkeys(
    ("address1", "address2", "city", "country", "region", "zip", "latitude", "longitude"),
    _optional(text),
)
_PROFILE: dict[str, Check] = {
    **_WHO,
    **dict.fromkeys(("first_name", "last_name", "organization", "title", "image"), _optional(text)),
    "location": object_of(_LOCATION),
    "properties": lambda value, place: object_of(dict.fromkeys(value, anything))(value, place),
}


def _resource(kind: str, attributes: Check, **more: Check) -> Check:
    return object_of(
        {"type": one_of(kind), "attributes": attributes, **more}, ("type", "attributes")
    )


def _data(check: Check) -> Check:
    return object_of({"data": check}, ("data",))


def _identified(known: dict[str, Check], *who: str) -> Check:
    def check(value: Json, place: str) -> None:
        object_of(known)(value, place)
        if not any(value.get(key) for key in who):
            raise Wrong(f"{place} has none of {who}")

    return check


_REFERENCE = object_of({"type": one_of("profile"), "id": nonempty}, ("type", "id"))
_LIST = object_of({"type": one_of("list"), "id": nonempty}, ("type", "id"))
_PERSON = _identified(_PROFILE, *_WHO)
_METRIC = _data(_resource("metric", object_of({"name": _matching("(?s).{1,128}")}, ("name",))))
_OF_EVENT = {**_PROFILE, "anonymous_id": nonempty}
_WHOSE = _data(_resource("profile", _identified(_OF_EVENT, *_WHO, "anonymous_id")))
_TOLD: dict[str, Check] = {
    "properties": _PROFILE["properties"],
    "metric": _METRIC,
    "time": _TIME,
    "value": number,
    "unique_id": nonempty,
}
_NEEDED = ("properties", "metric")
_EVENT = _resource("event", object_of({**_TOLD, "profile": _WHOSE}, (*_NEEDED, "profile")))
_EVENTS_OF_ONE = _resource(
    "event-bulk-create",
    object_of(
        {
            "profile": _WHOSE,
            "events": _data(list_of(_resource("event", object_of(_TOLD, _NEEDED)))),
        },
        ("profile", "events"),
    ),
)
_EVENT_JOB = _resource(
    "event-bulk-create-job",
    object_of(
        {"events-bulk-create": _data(list_of(_EVENTS_OF_ONE, most=1000))}, ("events-bulk-create",)
    ),
)
_IMPORT_JOB = _resource(
    "profile-bulk-import-job",
    object_of(
        {"profiles": _data(list_of(_resource("profile", _PERSON), most=10_000))}, ("profiles",)
    ),
    relationships=object_of({"lists": _data(list_of(_LIST))}),
)


def _consent_job(kind: str, consent: str, **more: Check) -> Check:
    told = object_of({"consent": one_of(consent), "consented_at": _TIME}, ("consent",))
    channel = object_of({"marketing": told, "transactional": told})
    person = {
        "email": _WHO["email"],
        "phone_number": _WHO["phone_number"],
        "subscriptions": object_of({"email": channel, "sms": channel}),
    }
    profiles = _data(list_of(_resource("profile", _identified(person, *_WHO)), most=1000))
    return _resource(
        f"profile-subscription-bulk-{kind}-job",
        object_of({"profiles": profiles, **more}, ("profiles",)),
        relationships=object_of({"list": _data(_LIST)}),
    )


_SUBSCRIBE = _consent_job("create", "SUBSCRIBED", custom_source=nonempty, historical_import=boolean)
_UNSUBSCRIBE = _consent_job("delete", "UNSUBSCRIBED")


class Account:
    """Profiles by Klaviyo's id, lists, consents, and the events and jobs that it took."""

    def __init__(self) -> None:
        self.profiles: dict[str, dict[str, Json]] = {}
        self.lists: dict[str, set[str]] = {}
        self.events: list[Json] = []
        self.jobs: list[Json] = []

    def __call__(self, request: Request) -> Answer:
        """What it answers. Raises Wrong."""
        if request.headers.get("Authorization") != f"Klaviyo-API-Key {KEY}":
            raise Wrong("not_authenticated", 401)
        if request.headers.get("revision") != "2025-01-15":
            raise Wrong("the header revision is missing")
        if not request.url.startswith(_ROOT):
            raise Wrong(f"there is no {request.url}", 404)
        way = urlsplit(request.url).path.removeprefix("/api/").strip("/").split("/")
        if request.method == "GET" and way == ["profiles"]:
            return self._found(request)
        if request.method == "PATCH" and way[0] == "profiles" and len(way) == 2:
            return self._changed(way[1], request.json)
        if way[0] == "lists" and way[2:] == ["relationships", "profiles"]:
            return self._listed(request, way[1])
        does: dict[str, Callable[[Json], Answer]] = {
            "profiles": self._created,
            "profile-bulk-import-jobs": self._job(_IMPORT_JOB),
            "events": self._event,
            "event-bulk-create-jobs": self._job(_EVENT_JOB),
            "profile-subscription-bulk-create-jobs": self._subscribed,
            "profile-subscription-bulk-delete-jobs": self._job(_UNSUBSCRIBE),
        }
        if request.method != "POST" or len(way) != 1 or way[0] not in does:
            raise Wrong(f"there is no {request.method} {request.url}", 404)
        return does[way[0]](request.json)

    def find(self, **who: str) -> list[str]:
        """Ids of the profiles with one of these."""
        return [
            known
            for known, profile in self.profiles.items()
            if any(profile.get(key) == value for key, value in who.items() if value)
        ]

    def _created(self, body: Json) -> Answer:
        _data(_resource("profile", _PERSON))(body, "body")
        given = body["data"]["attributes"]
        if others := self.find(**{key: given.get(key) for key in _WHO}):
            error = {"code": "duplicate_profile", "meta": {"duplicate_profile_id": others[0]}}
            return _json(409, {"errors": [error]})
        known = f"01P{len(self.profiles)}"
        self.profiles[known] = dict(given)
        return _json(201, {"data": {"type": "profile", "id": known, "attributes": given}})

    def _changed(self, known: str, body: Json) -> Answer:
        _data(_resource("profile", object_of(_PROFILE), id=one_of(known)))(body, "body")
        if known not in self.profiles:
            raise Wrong("no such profile", 404)
        given, before = body["data"]["attributes"], self.profiles[known]
        for key in ("location", "properties"):
            if key in given:
                given = given | {key: before.get(key, {}) | given[key]}
        self.profiles[known] = before | given
        return _json(200, {"data": {"type": "profile", "id": known}})

    def _found(self, request: Request) -> Answer:
        parts = urlsplit(request.url)
        query = dict(request.query or {}) or {k: v[0] for k, v in parse_qs(parts.query).items()}
        start = int(query.pop("page[cursor]", "0"))
        asked = re.fullmatch(r"any\((\w+),(\[.*\])\)", query.pop("filter"), re.DOTALL)
        if asked is None or asked[1] not in _WHO or query:
            raise Wrong(f"no such filter: {request.query}")
        found = [k for value in json.loads(asked[2]) for k in self.find(**{asked[1]: value})]
        page = [{"type": "profile", "id": known} for known in found[start : start + _PAGE]]
        further = f"filter={asked[0]}&page[cursor]={start + _PAGE}"
        more = f"{_ROOT}profiles/?{further}" if len(found) > start + _PAGE else None
        return _json(200, {"data": page, "links": {"next": more}})

    def _listed(self, request: Request, name: str) -> Answer:
        _data(list_of(_REFERENCE, most=1000))(request.json, "body")
        ids = {each["id"] for each in request.json["data"]}
        if unknown := ids - self.profiles.keys():
            raise Wrong(f"no such profiles: {unknown}", 404)
        members = self.lists.setdefault(name, set())
        if request.method == "POST":
            members |= ids
        elif request.method == "DELETE":
            members -= ids
        else:
            raise Wrong("method not allowed", 405)
        return Answer(204)

    def _event(self, body: Json) -> Answer:
        _data(_EVENT)(body, "body")
        self.events.append(body["data"]["attributes"])
        return Answer(202)

    def _subscribed(self, body: Json) -> Answer:
        _data(_SUBSCRIBE)(body, "body")
        given = body["data"]["attributes"]
        for profile in given["profiles"]["data"] if given.get("historical_import") else ():
            for channel in profile["attributes"]["subscriptions"].values():
                if "consented_at" not in channel["marketing"]:
                    raise Wrong("consented_at is needed with historical_import")
        self.jobs.append(body["data"])
        return Answer(202)

    def _job(self, check: Check) -> Callable[[Json], Answer]:
        def take(body: Json) -> Answer:
            _data(check)(body, "body")
            self.jobs.append(body["data"])
            return Answer(202)

        return take


def _json(status: int, body: Json) -> Answer:
    return Answer(status, {"content-type": "application/json"}, json.dumps(body).encode())
