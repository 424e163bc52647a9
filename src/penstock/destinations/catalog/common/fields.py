"""Fields and payloads in short: many tools take the same facts under names of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penstock.destinations.catalog.common.paths import either
from penstock.destinations.contract import Field, FieldType, Json

__all__ = ["mapped", "nested", "renamed"]


def mapped(key: str, label: str, *where: str, type: FieldType = "string", **more: Any) -> Field:
    """A field that is by default the value at the first of those paths that has one."""
    return Field(key, label, type, default=either(*where) if where else None, **more)


def nested(names: str, **types: FieldType) -> tuple[Field, ...]:
    """Properties of an object, named one after the other; texts unless a type is given."""
    return tuple(
        Field(name, name.replace("_", " ").capitalize(), types.get(name, "string"))
        for name in names.split()
    )


def renamed(payload: Mapping[str, Json], names: Mapping[str, str]) -> dict[str, Json]:
    """What the payload has of the named fields, under other names: new name → field."""
    return {name: payload[field] for name, field in names.items() if field in payload}
