"""Adding people to an audience and taking them out."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence

from penstock.destinations.catalog.common.items import failures_at, made_of_each
from penstock.destinations.catalog.facebook_custom_audiences.rows import SCHEMA, row
from penstock.destinations.catalog.facebook_graph.access import GRAPH
from penstock.destinations.contract import (
    Answer,
    BuiltRequest,
    Call,
    Failure,
    InvalidPayload,
    Json,
    Payload,
    Refused,
    Request,
    Steps,
)

__all__ = ["sync"]

_Row = tuple[str, list[str]]
_LISTS = {"app_ids": "appId", "page_ids": "pageId", "ig_account_ids": "igAccountIds"}
_BY_MODE = {
    "upsert": {"": "POST"},
    "delete": {"": "DELETE"},
    "mirror": {"new": "POST", "updated": "POST", "deleted": "DELETE"},
}


def sync(call: Call) -> Steps:
    """Adds in one request, removals in another."""
    audience = call.payload.get("external_audience_id") or call.settings.get("audienceId")
    if not audience:
        raise InvalidPayload("there is no audience: set its id, or map external_audience_id")
    made, failures = made_of_each(call, lambda payload: (_method(call, payload), row(payload)))
    for method in ("POST", "DELETE"):
        at = [index for index, (chosen, _) in made.items() if chosen == method]
        if at:
            failures |= yield from _send(call, f"{GRAPH}/{audience}/users", method, made, at)
    return failures


def _method(call: Call, payload: Payload) -> str:
    """What the event says of the membership; else the mode, by the name of a changed row."""
    member = payload.get("member")
    if isinstance(member, bool):
        return "POST" if member else "DELETE"
    known = _BY_MODE.get(call.sync_mode or "mirror", {})
    method = known.get("") or known.get(payload.get("change") or "")
    if method is None:
        raise InvalidPayload(
            "the event does not say whether the person belongs to the audience; map member, or "
            "choose the mode upsert or delete",
            "INVALID_AUDIENCE_MEMBERSHIP",
        )
    return method


def _send(
    call: Call, place: str, method: str, made: Mapping[int, _Row], at: Sequence[int]
) -> Generator[BuiltRequest, Answer, Mapping[int, Failure]]:
    told: dict[str, Json] = {"schema": list(SCHEMA), "data": [made[index][1] for index in at]}
    for key, field in _LISTS.items():
        ids = [call.payloads[index].get(field) or "" for index in at]
        if any(each.strip() for each in ids):
            told[key] = ids
    try:
        answer = yield Request(method, place, json={"payload": told}, items=tuple(at))
    except Refused as error:
        if len(at) == len(call.payloads):
            raise
        return failures_at(at, error)
    body = answer.json()
    if len(at) == 1 and isinstance(body, dict) and body.get("num_invalid_entries"):
        return {at[0]: Failure(400, "Facebook could not read this person's row", "INVALID_ENTRY")}
    return {}
