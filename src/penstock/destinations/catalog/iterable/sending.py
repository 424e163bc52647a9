"""Requests to Iterable; the answer for many users or events names those it did not take.

Source: https://api.iterable.com/api/docs, below users/bulkUpdate and events/trackBulk.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping

from penstock.destinations.catalog.common.halving import Sending, sent_in_halves
from penstock.destinations.catalog.common.items import made_of_each
from penstock.destinations.catalog.iterable.wording import (
    cart_of,
    event_of,
    purchase_of,
    require_identity,
    user_of,
)
from penstock.destinations.contract import (
    Answer,
    BuiltRequest,
    Call,
    Failure,
    Json,
    Payload,
    Request,
    Settings,
    Steps,
)

__all__ = ["address", "track_events", "track_purchase", "update_cart", "update_users"]

_HOSTS = {"europe": "https://api.eu.iterable.com"}


def address(settings: Settings, path: str) -> str:
    """Of a call, at the data centre of the project."""
    host = _HOSTS.get(settings.get("dataCenterLocation", ""), "https://api.iterable.com")
    return f"{host}/api/{path}"


def update_users(call: Call) -> Steps:
    """Profiles. One that is sent alone gets its new e-mail by a second request."""
    if call.batched:
        return (yield from _update_together(call))
    given = call.payload
    require_identity(given)
    yield _post(call, "users/update", user_of(given))
    if given.get("newEmail"):
        names = {"currentEmail": "email", "currentUserId": "userId"}
        current = {name: given[field] for name, field in names.items() if given.get(field)}
        yield _post(call, "users/updateEmail", current | {"newEmail": given["newEmail"]})
    return None


def track_events(call: Call) -> Steps:
    """Events of users."""
    if not call.batched:
        require_identity(call.payload)
        yield _post(call, "events/track", event_of(call.payload, call.now))
        return None
    made, failures = made_of_each(call, lambda payload: _identified(event_of(payload, call.now)))
    told = yield from _together(call, "events/trackBulk", "events", made)
    return failures | told


def update_cart(call: Call) -> Steps:
    """The products that a user's cart has now."""
    require_identity(call.payload["user"])
    yield _post(call, "commerce/updateCart", cart_of(call.payload))
    return None


def track_purchase(call: Call) -> Steps:
    """An order of a user."""
    require_identity(call.payload["user"])
    yield _post(call, "commerce/trackPurchase", purchase_of(call.payload, call.now))
    return None


def _update_together(call: Call) -> Steps:
    """Those of a call agree in ``updateOnly``; new e-mails are profile fields here."""

    def make(payload: Payload) -> Payload:
        user = _identified(user_of(payload))
        if payload.get("newEmail"):
            user["dataFields"]["email"] = payload["newEmail"]
        return user

    made, failures = made_of_each(call, make)
    more: Payload = {"updateOnly": True} if call.payload.get("updateOnly") else {}
    told = yield from _together(call, "users/bulkUpdate", "users", made, **more)
    return failures | told


def _together(
    call: Call, path: str, key: str, made: Mapping[int, Payload], **more: Json
) -> Generator[BuiltRequest, Answer, dict[int, Failure]]:
    """One request for all; a fault that has Iterable refuse them all is looked for by halves."""
    failures: dict[int, Failure] = {}

    def send(indices: tuple[int, ...]) -> Sending:
        sent = {index: made[index] for index in indices}
        answer = yield _post(call, path, {**more, key: list(sent.values())}, indices)
        failures.update(_untaken(answer, sent))

    if made:
        refused = yield from sent_in_halves(tuple(made), send)
        failures.update(refused)
    return failures


def _identified(told: Payload) -> Payload:
    require_identity(told)
    return told


def _post(call: Call, path: str, body: Payload, items: tuple[int, ...] | None = None) -> Request:
    return Request("POST", address(call.settings, path), json=body, items=items)


def _untaken(answer: Answer, sent: Mapping[int, Payload]) -> dict[int, Failure]:
    """Iterable names them by e-mail, user id or event name, in a list for each reason."""
    reasons = dict(_reasons(answer.json()))
    failures = {}
    for index, one in sent.items():
        for key in ("email", "userId", "eventName"):
            reason = reasons.get((key, _folded(key, one.get(key))))
            if reason:
                failures[index] = Failure(400, f"{one[key]}: {reason}", reason)
    return failures


def _reasons(told: Json) -> Iterator[tuple[tuple[str, str], str]]:
    """((field, its value), the name of the list)."""
    if not isinstance(told, dict):
        return
    failed = told.get("failedUpdates")
    for lists in (told, failed if isinstance(failed, dict) else {}):
        for reason, values in lists.items():
            key = _named_by(reason)
            if key and isinstance(values, list):
                yield from (((key, _folded(key, value)), reason) for value in values)


def _folded(key: str, value: Json) -> str:
    """Iterable writes addresses of mail in small letters."""
    return str(value).lower() if key == "email" else str(value)


def _named_by(reason: str) -> str:
    """Which field the values of such a list are of; empty: it is no list of failures."""
    if reason == "disallowedEventNames":
        return "eventName"
    if reason.endswith("Emails"):
        return "email"
    return "userId" if reason.endswith("UserIds") else ""
