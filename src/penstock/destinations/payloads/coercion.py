"""Values of one type where another is asked for: "12" for a number, 1 for true, [x] for x."""

from __future__ import annotations

import math
from collections.abc import Callable

from penstock.destinations.contract import Json
from penstock.destinations.mappings import UNDEFINED
from penstock.destinations.mappings.values import number_in, text_of
from penstock.destinations.payloads.schema import TypeName

__all__ = ["coercer", "is_type"]


def coercer(types: tuple[TypeName, ...]) -> Callable[[Json], Json]:
    """Make what turns a value into one of ``types``; UNDEFINED when it can't be.

    A list of one element counts as that element, but where several types are allowed only if the
    element needs coercion itself.
    """
    ways = [_WAYS[name] for name in types if name in _WAYS]
    alone = types[0] if len(types) == 1 else None

    def coerce(value: Json) -> Json:
        if any(is_type(value, name) for name in types):
            return value
        if not ways:
            return UNDEFINED
        if type(value) is list and len(value) == 1:
            value = value[0]
            if alone and is_type(value, alone):
                return value
        for way in ways:
            made = way(value)
            if made is not UNDEFINED:
                return made
        return UNDEFINED

    return coerce


def is_type(value: Json, name: TypeName) -> bool:
    """Whether ``value`` is of that type as it stands; 5.0 is an integer, true is no number."""
    if name == "number":
        return type(value) is int or (type(value) is float and math.isfinite(value))
    if name == "integer":
        return type(value) is int or (type(value) is float and value.is_integer())
    return type(value) is _PYTHON_TYPES[name]


def _to_text(value: Json) -> Json:
    if value is None:
        return ""
    return text_of(value) if type(value) in (int, float, bool) else UNDEFINED


def _to_number(value: Json) -> Json:
    if value is None or type(value) is bool:
        return int(bool(value))
    if type(value) is not str or not value:
        return UNDEFINED
    number = number_in(value)
    return UNDEFINED if number is None else number


def _to_integer(value: Json) -> Json:
    number = _to_number(value)
    return number if is_type(number, "integer") else UNDEFINED


def _to_boolean(value: Json) -> Json:
    if value is None or value == "false" or _is_number(value, 0):
        return False
    return True if value == "true" or _is_number(value, 1) else UNDEFINED


def _to_null(value: Json) -> Json:
    return None if value is False or value == "" or _is_number(value, 0) else UNDEFINED


def _to_list(value: Json) -> Json:
    return [value] if value is None or type(value) in (str, int, float, bool) else UNDEFINED


def _is_number(value: Json, number: int) -> bool:
    return type(value) in (int, float) and value == number


_WAYS: dict[TypeName, Callable[[Json], Json]] = {
    "string": _to_text,
    "number": _to_number,
    "integer": _to_integer,
    "boolean": _to_boolean,
    "null": _to_null,
    "array": _to_list,
}
_PYTHON_TYPES: dict[TypeName, type] = {
    "string": str,
    "boolean": bool,
    "null": type(None),
    "object": dict,
    "array": list,
}
