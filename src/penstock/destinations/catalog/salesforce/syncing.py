"""The calls that make records as the payloads say: one by one, or up to 200 in one request."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from typing import TypeVar
from urllib.parse import quote

from penstock.destinations.catalog.common.items import failure
from penstock.destinations.catalog.salesforce.records import (
    Kind,
    external_id,
    new_record,
    object_of,
    question,
    record_id,
    record_of,
)
from penstock.destinations.contract import (
    Answer,
    BuiltRequest,
    Call,
    Failure,
    Json,
    Payload,
    Refused,
    Request,
    Settings,
    Steps,
)

__all__ = ["api", "syncer"]

_VERSION = "v53.0"
_LATER = frozenset(
    (
        "REQUEST_LIMIT_EXCEEDED",
        "SERVER_UNAVAILABLE",
        "TXN_SECURITY_METERING_ERROR",
        "UNABLE_TO_LOCK_ROW",
        "UNKNOWN_EXCEPTION",
    )
)
T = TypeVar("T")
_Asking = Generator[BuiltRequest, Answer, T]
_Place = tuple[str, str]
"""Object, and field of the external id: those of one place go in one request."""


def api(settings: Settings) -> str:
    """The address of the REST API."""
    return f"{str(settings['instanceUrl']).rstrip('/')}/services/data/{_VERSION}"


def syncer(kind: Kind) -> Callable[[Call], Steps]:
    """What makes records of that kind."""

    def sync(call: Call) -> Steps:
        if call.batched:
            return (yield from _many(kind, call))
        yield from _told_well(_one(kind, call, 0))
        return None

    return sync


def _many(kind: Kind, call: Call) -> _Asking[Mapping[int, Failure]]:
    """Records that need no search together; the others one by one, each on its own feet."""
    failures: dict[int, Failure] = {}
    together: dict[_Place, dict[int, tuple[str, Json]]] = {}
    for index, given in enumerate(call.payloads):
        try:
            found = _known_place(kind, call, given)
            if found is None:
                yield from _told_well(_one(kind, call, index))
            else:
                place, key, record = found
                together.setdefault(place, {})[index] = (key, record)
        except Refused as error:
            if error.status in (401, 408, 423, 429) or error.status >= 500:
                raise
            failures[index] = failure(error)
    for place, records in together.items():
        for indices in _rounds({index: key for index, (key, _) in records.items()}):
            chosen = {index: records[index][1] for index in indices}
            failures |= yield from _told_well(_collection(call, place, chosen))
    return failures


def _known_place(
    kind: Kind, call: Call, given: Payload
) -> tuple[_Place, str, dict[str, Json]] | None:
    """Where the record goes with others, what tells it from them, and itself; None: it can't."""
    name, mode = object_of(kind, given), call.sync_mode
    typed = {"attributes": {"type": name}}
    if mode == "add":
        return (name, ""), "", typed | new_record(kind, given)
    if mode == "upsert":
        if (key := external_id(given)) is None:
            return None
        return (name, key[0]), key[1].lower(), typed | record_of(kind, given) | {key[0]: key[1]}
    if (known := record_id(given)) is None:
        return None
    fields = {} if mode == "delete" else record_of(kind, given)
    return (name, ""), known, typed | fields | {"id": known}


def _rounds(keys: Mapping[int, str]) -> Iterable[list[int]]:
    """In order, no record twice in one: Salesforce refuses both then. Without a key: all fit."""
    rounds: list[list[int]] = []
    taken: dict[str, int] = {}
    for index, key in keys.items():
        number = taken.get(key, -1) + 1 if key else 0
        taken[key] = number
        if number == len(rounds):
            rounds.append([])
        rounds[number].append(index)
    return rounds


def _collection(
    call: Call, place: _Place, records: Mapping[int, Json]
) -> _Asking[dict[int, Failure]]:
    """One request for all of them, whose answer says of each what became of it."""
    items, url = tuple(records), f"{api(call.settings)}/composite/sobjects"
    if call.sync_mode == "delete":
        ids = ",".join(record["id"] for record in records.values())
        query = {"ids": ids, "allOrNone": "false"}
        answer = yield Request("DELETE", url, query=query, items=items)
    else:
        if call.sync_mode == "upsert":
            url = f"{url}/{'/'.join(place)}"
        body = {"allOrNone": False, "records": list(records.values())}
        method = "POST" if call.sync_mode == "add" else "PATCH"
        answer = yield Request(method, url, json=body, items=items)
    results = answer.json()
    if not isinstance(results, list) or len(results) != len(items):
        raise Refused(502, "Salesforce did not say what became of the records", "BAD_RESPONSE")
    return {
        index: _failed(result.get("errors") or [{}])
        for index, result in zip(items, results, strict=True)
        if not result.get("success")
    }


def _failed(errors: list[dict[str, Json]]) -> Failure:
    code = str(errors[0].get("statusCode", "UNKNOWN"))
    return Failure(503 if code in _LATER else 400, str(errors[0].get("message", code)), code)


def _one(kind: Kind, call: Call, index: int) -> _Asking[None]:
    given, mode, items = call.payloads[index], call.sync_mode, (index,)
    name = object_of(kind, given)
    place = f"{api(call.settings)}/sobjects/{name}"
    if mode == "add":
        yield Request("POST", place, json=new_record(kind, given), items=items)
        return
    record = {} if mode == "delete" else record_of(kind, given)
    if mode == "upsert" and (key := external_id(given)):
        record.pop(key[0], None)
        url = f"{place}/{key[0]}/{quote(key[1], safe='')}"
        yield Request("PATCH", url, json=record, items=items)
        return
    known = yield from _found(call, name, index)
    if known is None and mode == "upsert":
        yield Request("POST", place, json=new_record(kind, given), items=items)
    elif known is None:
        raise Refused(404, f"no {name} matches", "RECORD_NOT_FOUND")
    elif mode == "delete":
        yield Request("DELETE", f"{place}/{known}", items=items)
    else:
        yield Request("PATCH", f"{place}/{known}", json=record, items=items)


def _found(call: Call, name: str, index: int) -> _Asking[str | None]:
    """Id of the record that is meant; several are refused, for it could be any."""
    given = call.payloads[index]
    if call.sync_mode != "upsert" and (told := record_id(given)):
        return quote(told, safe="")
    query = {"q": question(name, given)}
    answer = yield Request("GET", f"{api(call.settings)}/query/", query=query, items=(index,))
    body = answer.json()
    count = body.get("totalSize") if isinstance(body, dict) else None
    if not isinstance(count, int):
        raise Refused(400, "Salesforce did not say which records match", "BAD_RESPONSE")
    if count > 1:
        raise Refused(300, f"{count} records of {name} match", "MULTIPLE_RECORDS_FOUND")
    return str(body["records"][0]["Id"]) if count else None


def _told_well(steps: _Asking[T]) -> _Asking[T]:
    """What Salesforce says of a refusal in its own word; a few of them pass."""
    try:
        return (yield from steps)
    except Refused as error:
        said = error.answer.json() if error.answer else None
        if error.status == 401 or not isinstance(said, list) or not said:
            raise
        code = str(said[0].get("errorCode", error.code))
        message = f"Salesforce refused the record: {said[0].get('message', code)}"
        status = 503 if code in _LATER else error.status
        raise Refused(status, message, code, error.answer) from error
