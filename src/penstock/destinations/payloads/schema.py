"""What a field's values must be, as plain facts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from penstock.destinations.contract import Field, Json

__all__ = ["Schema", "TypeName", "object_schema", "schema_of"]

TypeName = Literal["string", "number", "integer", "boolean", "null", "object", "array"]


@dataclass(frozen=True)
class Schema:
    """The values that a field, an element or a property may have."""

    types: tuple[TypeName, ...]
    """Of these one; the first that can be had by coercion wins."""
    choices: tuple[Json, ...] | None = None
    format: str = ""
    """Of texts; the name of one in ``formats``."""
    shortest: float | None = None
    longest: float | None = None
    """Lengths of texts, in characters."""
    minimum: float | None = None
    maximum: float | None = None
    """Of numbers."""
    items: Schema | None = None
    """Of the elements of a list."""
    properties: dict[str, Schema] | None = None
    """None: an object may have any."""
    required: tuple[str, ...] = ()
    additional: bool = False
    """Whether properties that are not named stay."""


def schema_of(field: Field) -> Schema:
    """What ``field`` takes."""
    scalar = _scalar(field)
    if not field.multiple:
        return scalar
    inner = scalar
    if scalar.properties is None:
        inner = Schema(_types(field), choices=scalar.choices)
    return Schema(("array",), items=inner)


def object_schema(fields: tuple[Field, ...], additional: bool) -> Schema:
    """An object with ``fields`` as its properties."""
    return Schema(
        ("object",),
        properties={field.key: schema_of(field) for field in fields},
        required=tuple(field.key for field in fields if field.required),
        additional=additional,
    )


def _scalar(field: Field) -> Schema:
    if field.type == "object" and field.properties:
        return object_schema(field.properties, field.additional_properties)
    choices: tuple[Json, ...] | None = tuple(choice.value for choice in field.choices) or None
    if choices is not None and field.allow_null:
        choices = (*choices, None)
    types = _types(field)
    is_number = "number" in types or "integer" in types
    return Schema(
        (*types, "null") if field.allow_null else types,
        choices=choices,
        format=_format(field),
        shortest=field.minimum if field.type == "string" else None,
        longest=field.maximum if field.type == "string" else None,
        minimum=field.minimum if is_number else None,
        maximum=field.maximum if is_number else None,
    )


def _types(field: Field) -> tuple[TypeName, ...]:
    if field.type in ("string", "text", "password"):
        return ("string",)
    if field.type == "datetime":
        return ("string", "number")
    return (field.type,)  # type: ignore[return-value]  # the four that are left are type names


def _format(field: Field) -> str:
    if field.type == "datetime":
        return "date-like"
    return "" if field.type in ("text", "password") else field.format
