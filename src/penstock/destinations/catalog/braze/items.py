"""Items of a catalogue, which messages are filled from.

Source: https://www.braze.com/docs/api/endpoints/catalogs
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from penstock.destinations.catalog.common.items import failure, failures_at, made_of_each
from penstock.destinations.contract import (
    Call,
    Failure,
    Field,
    InvalidPayload,
    Json,
    Payload,
    Refused,
    Request,
    Steps,
)

__all__ = ["ITEM_FIELDS", "sync_items"]

_ID = re.compile(r"[a-zA-Z0-9_-]+")
ITEM_FIELDS = (
    Field("catalog_name", "Catalogue", required=True, help="Create it in Braze first."),
    Field("item", "Fields of the item", "object", help="Without its id; needed unless deleted."),
    Field(
        "item_id",
        "Id of the item",
        required=True,
        minimum=1,
        maximum=250,
        help="Letters, digits, - and _.",
    ),
)


def sync_items(call: Call) -> Steps:
    """Writes items, or deletes them in mode delete. An item that is gone counts as deleted."""
    if len(call.payloads) == 1:
        return _single(call)
    return _several(call)


def _single(call: Call) -> Steps:
    item = _item(call, call.payload)
    place = f"{_place(call)}/{item.pop('id')}"
    if call.sync_mode != "delete":
        yield Request("PUT", place, json={"items": [item]})
        return None
    try:
        yield Request("DELETE", place)
    except Refused as error:
        if not any(each.get("id") == "item-not-found" for each in _errors(error)):
            raise
    return None


def _several(call: Call) -> Steps:
    """All at once; an id that comes twice goes in a further request, so that the last one holds."""
    made, failures = made_of_each(call, lambda payload: _item(call, payload))
    while made:
        places: dict[str, int] = {}
        for index, item in made.items():
            places.setdefault(item["id"], index)
        try:
            yield _request(call, [made[index] for index in places.values()], places)
        except Refused as error:
            failures |= _refused(error, places)
        made = {index: item for index, item in made.items() if index not in places.values()}
    return failures or None


def _request(call: Call, items: Sequence[Json], places: Mapping[str, int]) -> Request:
    method = "DELETE" if call.sync_mode == "delete" else "PUT"
    body = {"items": list(items)}
    return Request(method, f"{_place(call)}/", json=body, items=tuple(places.values()))


def _refused(error: Refused, places: Mapping[str, int]) -> dict[int, Failure]:
    """Braze takes all or none: those that it does not name are tried again without the others."""
    named = {
        places[each]: str(told.get("message") or error)
        for told in _errors(error)
        for each in map(_id_of, told.get("parameter_values") or ())
        if each in places and told.get("id") != "catalog-not-found"
    }
    if not named:
        return dict(failures_at(tuple(places.values()), error))
    again = failure(Refused(500, "refused because of other items of the batch", "OTHER_ITEMS"))
    told = {index: Failure(400, message, "NOT_TAKEN") for index, message in named.items()}
    return {index: told.get(index, again) for index in places.values()}


def _id_of(value: Json) -> str:
    return str(value.get("id")) if isinstance(value, dict) else str(value)


def _errors(error: Refused) -> list[dict[str, Json]]:
    body = error.answer.json() if error.answer else None
    errors = body.get("errors") if isinstance(body, dict) else None
    return [each for each in errors if isinstance(each, dict)] if isinstance(errors, list) else []


def _item(call: Call, payload: Payload) -> dict[str, Json]:
    if not _ID.fullmatch(payload["item_id"]):
        raise InvalidPayload("item_id may have letters, digits, - and _ only")
    if call.sync_mode == "delete":
        return {"id": payload["item_id"]}
    if not payload.get("item"):
        raise InvalidPayload("there is no item: map its fields")
    return {**payload["item"], "id": payload["item_id"]}


def _place(call: Call) -> str:
    return f"{call.settings['endpoint']}/catalogs/{call.payload['catalog_name']}/items"
