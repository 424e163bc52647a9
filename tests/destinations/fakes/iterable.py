"""Iterable's API for one project, refusing what its documentation refuses.

Sources: api.iterable.com/api/docs (users/update, users/bulkUpdate, users/updateEmail, events/track,
events/trackBulk, commerce/updateCart, commerce/trackPurchase: bodies, and answers that name by
failedUpdates and disallowedEventNames what was not taken), support.iterable.com/hc/en-us/articles/
360043464871 (header Api-Key), /208183076 (times as ``2026-03-04 05:06:07 +00:00``), and
/17572750887444 (the European host).
"""

from __future__ import annotations

import json
import re

from penstock.destinations.contract import Answer, Request
from tests.destinations.fakes.strict import (
    Check,
    Json,
    Wrong,
    boolean,
    integer,
    list_of,
    nonempty,
    number,
    object_of,
    text,
)

__all__ = ["KEY", "Project"]

KEY = "0123456789abcdef0123456789abcdef"
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_FOREIGN_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:?\d\d(:?\d\d([.,]\d+)?)?(Z|[+-]\d\d:?\d\d)?")
_REASONS = ("invalid", "notFound", "invalidData", "conflict", "forgotten")


def _email(value: Json, place: str) -> None:
    text(value, place)
    if _ADDRESS.fullmatch(value) is None:
        raise Wrong(f"{place} is no address: {value!r}")


def _fields(value: Json, place: str) -> None:
    if not isinstance(value, dict):
        raise Wrong(f"{place} is no object: {value!r}")
    _times(value, place)


def _times(value: Json, place: str) -> None:
    """No text that is a time in another form than Iterable's: its type would not match."""
    if isinstance(value, dict):
        for key, inner in value.items():
            _times(inner, f"{place}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _times(inner, f"{place}[{index}]")
    elif isinstance(value, str) and _FOREIGN_TIME.fullmatch(value):
        raise Wrong(f"{place} is no time in Iterable's form: {value!r}")


def _optional(check: Check) -> Check:
    return lambda value, place: None if value is None else check(value, place)


_USER: dict[str, Check] = {
    "email": _email,
    "userId": nonempty,
    "dataFields": _fields,
    "preferUserId": boolean,
    "mergeNestedObjects": boolean,
}
_EVENT: dict[str, Check] = {
    "email": _email,
    "userId": nonempty,
    "eventName": nonempty,
    "id": nonempty,
    "createdAt": _optional(integer),
    "dataFields": _fields,
    "campaignId": integer,
    "templateId": integer,
}
_ITEM = object_of(
    {
        **dict.fromkeys(("id", "name"), nonempty),
        **dict.fromkeys(("sku", "description", "url", "imageUrl"), text),
        "categories": list_of(text),
        "price": number,
        "quantity": integer,
        "dataFields": _fields,
    },
    required=("id", "name", "price", "quantity"),
)
_CART: dict[str, Check] = {"user": object_of(_USER), "items": list_of(_ITEM, least=0)}
_PURCHASE: dict[str, Check] = {
    **_CART,
    **{key: _EVENT[key] for key in ("id", "createdAt", "dataFields", "campaignId", "templateId")},
    "total": number,
}
_BODIES = {
    "users/update": object_of(_USER),
    "users/updateEmail": object_of(
        {"currentEmail": _email, "currentUserId": nonempty, "newEmail": _email}, ("newEmail",)
    ),
    "users/bulkUpdate": object_of(
        {"users": list_of(object_of(_USER), most=1000), "updateOnly": boolean}, ("users",)
    ),
    "events/track": object_of(_EVENT, ("eventName",)),
    "events/trackBulk": object_of(
        {"events": list_of(object_of(_EVENT, ("eventName",)), most=8000)}, ("events",)
    ),
    "commerce/updateCart": object_of(_CART, ("user", "items")),
    "commerce/trackPurchase": object_of(_PURCHASE, ("user", "items", "total")),
}


class Project:
    """Takes users and events but those it is told to refuse."""

    def __init__(self, host: str = "api.iterable.com", **refused: str) -> None:
        """``refused``: e-mail address, user id or event name → reason, such as ``forgotten``."""
        self.host = host
        self.refused = refused
        self.users: dict[str, Json] = {}

    def __call__(self, request: Request) -> Answer:
        """POST to the calls above."""
        if request.headers.get("Api-Key") != KEY:
            raise Wrong("Invalid API key", 401)
        place = re.fullmatch(rf"https://{re.escape(self.host)}/api/([A-Za-z/]+)", request.url)
        if request.method != "POST" or place is None or place[1] not in _BODIES or request.query:
            raise Wrong(f"there is no {request.method} {request.url}", 404)
        body = request.json
        _BODIES[place[1]](body, "body")
        many = body.get("users") or body.get("events")
        if many is not None:
            return self._bulk(many)
        self._one(body.get("user", body))
        return Answer(200, {}, b'{"msg":"","code":"Success","params":null}')

    def _one(self, who: Json) -> None:
        keys = [who[key] for key in who if key.lower().endswith(("email", "userid")) and who[key]]
        if not keys:
            raise Wrong("an email or a userId is needed")
        self.users[keys[0]] = {**self.users.get(keys[0], {}), **who.get("dataFields", {})}

    def _bulk(self, many: list[Json]) -> Answer:
        failed: dict[str, list[str]] = {
            f"{reason}{kind}": [] for reason in _REASONS for kind in ("Emails", "UserIds")
        }
        names: list[str] = []
        for who in many:
            reasons = {key: self.refused.get(str(who.get(key))) for key in ("email", "userId")}
            if self.refused.get(str(who.get("eventName"))):
                names.append(who["eventName"])
            elif reasons["email"]:
                failed[f"{reasons['email']}Emails"].append(who["email"].lower())
            elif reasons["userId"]:
                failed[f"{reasons['userId']}UserIds"].append(who["userId"])
            else:
                self._one(who)
        count = sum(map(len, failed.values())) + len(names)
        answer = {
            "successCount": len(many) - count,
            "failCount": count,
            "invalidEmails": failed["invalidEmails"],
            "invalidUserIds": failed["invalidUserIds"],
            "filteredOutFields": [],
            "createdFields": ["new"],
            "disallowedEventNames": names,
            "failedUpdates": failed,
        }
        return Answer(200, {}, json.dumps(answer).encode())
