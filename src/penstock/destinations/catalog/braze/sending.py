"""Events, purchases and attributes go to one endpoint, many at once, and fail one by one.

Source: https://www.braze.com/docs/api/endpoints/user_data/post_user_track
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from penstock.destinations.catalog.common.items import failures_at
from penstock.destinations.contract import (
    Answer,
    Call,
    Failure,
    InvalidPayload,
    Json,
    Payload,
    Refused,
    Request,
    Steps,
)

__all__ = ["alias_of", "person", "track"]

Kind = Literal["events", "purchases", "attributes"]

_MOST = 75
"""Objects of a kind that a request may carry."""


def track(
    call: Call,
    kind: Kind,
    made: Mapping[int, list[Json]],
    failures: dict[int, Failure],
    batched: bool = False,
) -> Steps:
    """Sends what was made of each payload; ``failures`` are those that nothing was made of.

    A request of several objects says so in a header, and one of a batch if ``batched``.
    """
    objects = [(index, item) for index, items in made.items() for item in items]
    for start in range(0, len(objects), _MOST):
        part = objects[start : start + _MOST]
        owners = tuple(index for index, _ in part)
        try:
            answer = yield _request(call, kind, part, batched)
        except Refused as error:
            if len(call.payloads) == 1:
                raise
            failures |= failures_at(owners, error)
        else:
            failures |= _untaken(answer, kind, owners)
    return failures or None


def person(payload: Payload) -> dict[str, Json]:
    """The ids of the person: at least one must be there."""
    alias = alias_of(payload)
    ids = {key: payload[key] for key in ("braze_id", "external_id", "email") if key in payload}
    if not alias and not any(ids.values()):
        raise InvalidPayload("there is no external_id, user_alias, braze_id or email")
    return ids | ({"user_alias": alias} if alias else {})


def alias_of(payload: Payload) -> dict[str, Json] | None:
    """Name and label of the alias, when both are there."""
    alias = payload.get("user_alias") or {}
    if not alias.get("alias_name") or not alias.get("alias_label"):
        return None
    return {key: alias[key] for key in ("alias_label", "alias_name")}


def _request(call: Call, kind: Kind, part: list[tuple[int, Json]], batched: bool) -> Request:
    return Request(
        "POST",
        f"{call.settings['endpoint']}/users/track",
        headers={"X-Braze-Batch": "true"} if batched or len(part) > 1 else {},
        json={kind: [item for _, item in part]},
        items=tuple(dict.fromkeys(index for index, _ in part)),
    )


def _untaken(answer: Answer, kind: Kind, owners: tuple[int, ...]) -> dict[int, Failure]:
    """Braze answers 201 and names, by place, the objects that it did not take."""
    told = answer.json()
    errors = told.get("errors") if isinstance(told, dict) else None
    return {
        owners[error["index"]]: Failure(400, str(error.get("type", "not taken")), "NOT_TAKEN")
        for error in (errors if isinstance(errors, list) else ())
        if isinstance(error, dict)
        and error.get("input_array", kind) == kind
        and isinstance(error.get("index"), int)
        and 0 <= error["index"] < len(owners)
    }
