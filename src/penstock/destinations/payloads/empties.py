"""Nulls and empty texts, which most fields can't hold, are dropped before values are checked."""

from __future__ import annotations

from collections.abc import Callable

from penstock.destinations.contract import Json
from penstock.destinations.mappings import UNDEFINED
from penstock.destinations.payloads.schema import Schema

__all__ = ["tidier"]


def tidier(schema: Schema) -> Callable[[Json], Json]:
    """Make what drops from a value the nulls and empty texts that ``schema`` has no place for.

    It gives UNDEFINED when the value itself is such a one. Objects without known properties stay as
    they are, and so do objects in lists.
    """
    takes_null, takes_text = "null" in schema.types, "string" in schema.types
    inside = {key: tidier(part) for key, part in (schema.properties or {}).items()}
    of_items = tidier(schema.items) if schema.items else None

    def tidy(value: Json) -> Json:
        if value is None:
            return value if takes_null else UNDEFINED
        if value == "":
            return value if takes_text else UNDEFINED
        if of_items and type(value) is list:
            return [item for item in value if of_items(item) is not UNDEFINED]
        if inside and type(value) is dict:
            return _tidied(value, inside)
        return value

    return tidy


def _tidied(value: dict[str, Json], inside: dict[str, Callable[[Json], Json]]) -> dict[str, Json]:
    kept = {}
    for key, item in value.items():
        tidy = inside.get(key)
        if tidy is not None:
            item = tidy(item)
        if item is not UNDEFINED:
            kept[key] = item
    return kept
