"""Operations on people and objects, as version 2 of the Track API words them."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping, Sequence

from penstock.destinations.catalog.common.times import unix_seconds, with_unix_seconds
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

__all__ = ["Operation", "host", "identifiers", "operations"]

_EMAIL = re.compile(
    r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]*[a-z0-9])?",
    re.IGNORECASE | re.ASCII,
)
_WHO = ("person_id", "anonymous_id", "email", "object_id", "object_type_id")
_APART = (*_WHO, "timestamp", "convert_timestamp")

Operation = tuple[str, str, Payload]
"""``person`` or ``object``, what to do, and what is told: keys of ``_APART`` steer, all other
keys are sent as they are named."""


def host(settings: Settings) -> str:
    """The address of the account's region."""
    return f"https://track{'-eu' if settings.get('accountRegion') == 'EU' else ''}.customer.io"


def operations(
    make: Callable[[Payload], Operation], batches: tuple[str, ...] = ()
) -> Callable[[Call], Steps]:
    """One operation alone, or several as a batch whose faulty items are reported alone.

    ``batches`` names the actions that go in batches of their own, in order.
    """

    def build(call: Call) -> Steps:
        made = [_entity(*make(payload)) for payload in call.payloads]
        place = f"{host(call.settings)}/api/v2"
        if len(made) == 1 and not call.batched:
            yield Request("POST", f"{place}/entity", json=made[0])
            return None
        failures: dict[int, Failure] = {}
        for action in batches or ("",):
            at = [index for index, each in enumerate(made) if action in ("", each["action"])]
            if at:
                failures |= yield from _batch(f"{place}/batch", made, at)
        return failures

    return build


def identifiers(
    person_id: str = "",
    anonymous_id: str = "",
    email: str = "",
    object_id: str = "",
    object_type_id: str = "",
) -> dict[str, str] | None:
    """How Customer.io finds whom an operation is about; None when nothing tells.

    An object's id counts first; then a person's, which may be ``cio_`` and an id of Customer.io,
    an e-mail address, or an id of ours; then the e-mail; then the anonymous id.
    """
    if object_id:
        return {"object_id": object_id, "object_type_id": object_type_id or "1"}
    if person_id.startswith("cio_"):
        return {"cio_id": person_id[4:]}
    if _EMAIL.fullmatch(person_id):
        return {"email": person_id}
    found = {"id": person_id, "email": email, "anonymous_id": anonymous_id}
    return next(({key: value} for key, value in found.items() if value), None)


def _entity(kind: str, action: str, told: Payload) -> dict[str, Json]:
    rest = {key: value for key, value in told.items() if key not in _APART and value is not None}
    if told.get("convert_timestamp"):
        rest = with_unix_seconds(rest)
    made = {"type": kind, "action": action, **rest}
    if told.get("timestamp"):
        made["timestamp"] = unix_seconds(told["timestamp"])
    if action == "merge":
        return made
    who = identifiers(**{key: told.get(key) or "" for key in _WHO})
    if who is not None:
        made["identifiers"] = who
    if told.get("anonymous_id"):
        attributes = made.get("attributes") or {}
        named = {} if who and "anonymous_id" in who else {"anonymous_id": told["anonymous_id"]}
        kept = {key: value for key, value in attributes.items() if key != "anonymous_id"}
        made["attributes"] = kept | named
    return made


def _batch(
    place: str, made: Sequence[Json], at: Sequence[int]
) -> Generator[BuiltRequest, Answer, dict[int, Failure]]:
    batch = [made[index] for index in at]
    answer = yield Request("POST", place, json={"batch": batch}, items=tuple(at))
    body = answer.json()
    errors = body.get("errors") if isinstance(body, dict) else None
    return {
        at[error["batch_index"]]: _failure(error)
        for error in errors or ()
        if isinstance(error, dict) and error.get("batch_index") in range(len(at))
    }


def _failure(error: Mapping[str, Json]) -> Failure:
    """What the batch reports for an item is a fault of the item: trying again would not help."""
    parts = [str(error[key]) for key in ("field", "message") if error.get(key)]
    message = ": ".join(parts) or "Customer.io did not take this item"
    return Failure(400, message, str(error.get("reason") or "400"))
