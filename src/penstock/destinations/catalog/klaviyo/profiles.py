"""Profiles: made, changed, put on lists and taken off them."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from penstock.destinations.catalog.common.items import failures_at, made_of_each
from penstock.destinations.catalog.klaviyo.requests import (
    ROOT,
    attributes,
    data_of,
    post,
    to_list,
)
from penstock.destinations.contract import (
    Answer,
    BuiltRequest,
    Call,
    InvalidPayload,
    Json,
    Payload,
    Refused,
    Request,
    Steps,
)

__all__ = ["add_to_list", "remove_from_list", "upsert"]

_WHO = ("external_id", "email", "phone_number")


def upsert(call: Call) -> Steps:
    """Create a profile, or change the one that Klaviyo names as its duplicate."""
    if call.batched or len(call.payloads) > 1:
        first = call.payload
        return (yield from _import(call, first.get("override_list_id") or first.get("list_id")))
    payload = call.payload
    list_id = payload.get("override_list_id", payload.get("list_id"))
    profile = {"type": "profile", "attributes": _known(payload)}
    created = yield _creation(profile)
    if created.status == 409:
        known = _duplicate(created)
        yield Request("PATCH", f"{ROOT}/profiles/{known}", json={"data": {**profile, "id": known}})
    else:
        known = data_of(created, dict)["id"] if list_id else ""
    if list_id:
        yield to_list(list_id, known)
    return None


def add_to_list(call: Call) -> Steps:
    """Put profiles on a list; those that Klaviyo does not know are created."""
    if call.batched or len(call.payloads) > 1:
        return (yield from _import(call, call.payload.get("list_id")))
    profile = {"type": "profile", "attributes": _known(call.payload)}
    created = yield _creation(profile)
    known = _duplicate(created) if created.status == 409 else data_of(created, dict)["id"]
    yield to_list(call.payload["list_id"], known)
    return None


def remove_from_list(call: Call) -> Steps:
    """Take profiles off a list."""
    made, failures = made_of_each(call, _known)
    if not made:
        return failures
    carried = tuple(made)
    try:
        ids = yield from _found(list(made.values()))
        if ids:
            profiles = [{"type": "profile", "id": each} for each in ids]
            place = f"{ROOT}/lists/{call.payload['list_id']}/relationships/profiles/"
            yield Request("DELETE", place, json={"data": profiles}, items=carried)
        elif not call.batched and len(call.payloads) == 1:
            raise InvalidPayload("Klaviyo knows no profile with these identifiers")
    except Refused as refused:
        if not failures:
            raise
        return failures | dict(failures_at(carried, refused))
    return failures


def _import(call: Call, list_id: Json) -> Steps:
    """One job for all profiles that can be sent."""
    made, failures = made_of_each(call, _known)
    if not made:
        return failures
    profiles = [{"type": "profile", "attributes": each} for each in made.values()]
    job: dict[str, Json] = {
        "type": "profile-bulk-import-job",
        "attributes": {"profiles": {"data": profiles}},
    }
    if list_id:
        job["relationships"] = {"lists": {"data": [{"type": "list", "id": list_id}]}}
    yield post("profile-bulk-import-jobs/", job, tuple(made))
    return failures


def _known(payload: Payload) -> Payload:
    return attributes(payload, _WHO)


def _creation(profile: Json) -> Request:
    return Request("POST", f"{ROOT}/profiles/", json={"data": profile}, accept=(409,))


def _duplicate(answer: Answer) -> str:
    """The id of the profile that a 409 names."""
    body = answer.json()
    errors = body.get("errors") if isinstance(body, dict) else None
    for error in errors if isinstance(errors, list) else ():
        known = (error.get("meta") or {}).get("duplicate_profile_id")
        if isinstance(known, str) and known:
            return known
    raise Refused(409, "Klaviyo has another profile with these identifiers", answer=answer)


def _found(profiles: Sequence[Payload]) -> Generator[BuiltRequest, Answer, list[str]]:
    """Klaviyo's ids of the profiles, page by page, each id once."""
    ids: dict[str, None] = {}
    for key in _WHO:
        values = [profile[key] for profile in profiles if profile.get(key)]
        if not values:
            continue
        listed = ",".join('"' + value.replace('"', '\\"') + '"' for value in values)
        query = {"filter": f"any({key},[{listed}])"}
        page: Request | None = Request("GET", f"{ROOT}/profiles/", query=query)
        while page is not None:
            answer = yield page
            ids |= dict.fromkeys(each["id"] for each in data_of(answer, list))
            page = _next(answer)
    return list(ids)


def _next(answer: Answer) -> Request | None:
    place = (answer.json().get("links") or {}).get("next")
    if not isinstance(place, str) or not place.startswith(f"{ROOT}/profiles"):
        return None
    return Request("GET", place)
