"""Properties as HubSpot takes them, and the addresses of its objects."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from urllib.parse import quote

import msgspec

from penstock.destinations.catalog.common.hashing import strip
from penstock.destinations.contract import Answer, BuiltRequest, Json, Payload, Refused, Request

__all__ = ["ROOT", "identity", "objects", "own", "search", "segment", "sole", "stripped"]

ROOT = "https://api.hubapi.com"


def objects(kind: str) -> str:
    """Where the objects of that kind are."""
    return f"{ROOT}/crm/v3/objects/{kind}"


def segment(text: str) -> str:
    """The text as one part of a path."""
    return quote(text, safe="!$&()*+,:;=@~")


def own(properties: Mapping[str, Json] | None) -> dict[str, Json]:
    """Flat: a list becomes texts with semicolons, an object JSON; null is left out."""
    given = properties or {}
    return {key: _flat(value) for key, value in given.items() if value is not None}


def stripped(payload: Payload, names: Sequence[str]) -> dict[str, Json]:
    """What the payload has of those, texts without spaces around."""
    return {key: _flat(payload[key]) for key in names if payload.get(key) is not None}


def search(
    kind: str, wanted: Mapping[str, Json], shown: Sequence[str] = (), order: Sequence[str] = ()
) -> Generator[BuiltRequest, Answer, tuple[int, str]]:
    """How many objects have any of the wanted properties, -1 when HubSpot does not tell, and the id
    of the first."""
    groups = [
        {"filters": [{"propertyName": key, "operator": "EQ", "value": value}]}
        for key, value in wanted.items()
    ]
    asked = {"filterGroups": groups, "properties": list(shown), "sorts": list(order)}
    answer = yield Request("POST", f"{objects(kind)}/search", json=asked)
    found = answer.json()
    total = found.get("total") if isinstance(found, dict) else None
    if not isinstance(total, int):
        return -1, ""
    return total, str(found["results"][0]["id"]) if total else ""


def sole(total: int, field: str) -> bool:
    """Whether a search found the one object. Raises Refused when it is not the only one."""
    if total < 0:
        raise Refused(400, "HubSpot's answer does not tell what was found", "UNEXPECTED_ANSWER")
    if total > 1:
        raise Refused(400, f"{field}: several in HubSpot have these values", "NOT_UNIQUE")
    return total == 1


def identity(answer: Answer) -> str:
    """The id of the object that an answer tells; empty when it tells none."""
    body = answer.json()
    return str(body.get("id") or "") if isinstance(body, dict) else ""


def _flat(value: Json) -> Json:
    if isinstance(value, str):
        return strip(value)
    if isinstance(value, list):
        return ";".join(_word(each) for each in value)
    return msgspec.json.encode(value).decode() if isinstance(value, dict) else value


def _word(value: Json) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
