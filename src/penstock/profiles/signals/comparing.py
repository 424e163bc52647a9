"""Comparisons of properties and traits, compiled once."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Any

import msgspec

from penstock.profiles.language.model import Operator, Test, Tests
from penstock.profiles.language.text import moment
from penstock.profiles.observed import microseconds

__all__ = ["SPANS", "compare", "compile_tests", "instant_of", "property_of"]

Properties = Mapping[str, Any]
SPANS = ("within last", "within next", "before last", "after next")
"""Operators whose result depends on the time at which they are asked."""
_SECOND_US = 1_000_000
_ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le,
}  # fmt: skip
_encode = msgspec.json.Encoder().encode


def compile_tests(tests: Test | Tests | None) -> Callable[[Properties], bool] | None:
    """Whether an event's properties pass; None when there is nothing to pass."""
    if tests is None:
        return None
    if isinstance(tests, Test):
        take = property_of(tests.property)
        passes = compare(tests.op, tests.value)
        return lambda properties: passes(take(properties), 0)
    parts = [part for part in map(compile_tests, tests.of) if part is not None]
    if tests.match == "all":
        return lambda properties: all(part(properties) for part in parts)
    if tests.match == "any":
        return lambda properties: any(part(properties) for part in parts)
    return lambda properties: not any(part(properties) for part in parts)


def property_of(name: str) -> Callable[[Properties], Any]:
    """Reads a property; dots lead into objects, unless a property has that very name."""
    if "." not in name:
        return lambda properties: properties.get(name)
    path = name.split(".")

    def read(properties: Properties) -> Any:
        if name in properties:
            return properties[name]
        value: Any = properties
        for key in path:
            if not isinstance(value, dict):
                return None
            value = value.get(key)
        return value

    return read


def compare(op: Operator, wanted: Any) -> Callable[[Any, int], bool]:
    """Whether a value compares so, at a time (microseconds); only ``SPANS`` look at that.

    Values of different kinds are not equal, and not one before the other. A missing value and
    null are the same: they pass ``does not exist``, ``!=``, ``not one of``, ``does not contain``.
    """
    if op in _ORDERED:
        return _ordering(op, wanted)
    if op in SPANS:
        return _spanning(op, wanted * _SECOND_US)
    if op in ("before", "after"):
        limit = _needed_instant(wanted)
        if op == "before":
            return lambda value, _: (at := instant_of(value)) is not None and at < limit
        return lambda value, _: (at := instant_of(value)) is not None and at > limit
    return _plain(op, wanted)


def _plain(op: str, wanted: Any) -> Callable[[Any, int], bool]:
    plain: dict[str, Callable[[Any, int], bool]] = {
        "=": lambda value, _: _equal(value, wanted),
        "!=": lambda value, _: not _equal(value, wanted),
        "exists": lambda value, _: value is not None,
        "does not exist": lambda value, _: value is None,
        "contains": lambda value, _: _contains(value, wanted),
        "does not contain": lambda value, _: not _contains(value, wanted),
        "starts with": lambda value, _: isinstance(value, str) and value.startswith(str(wanted)),
        "ends with": lambda value, _: isinstance(value, str) and value.endswith(str(wanted)),
        "one of": lambda value, _: any(_equal(value, one) for one in wanted),
        "not one of": lambda value, _: not any(_equal(value, one) for one in wanted),
        "contains one of": lambda value, _: any(_contains(value, one) for one in wanted),
    }
    return plain[op]


def _equal(value: Any, wanted: Any) -> bool:
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    if isinstance(value, int | float) and isinstance(wanted, int | float):
        return value == wanted
    return type(value) is type(wanted) and value == wanted


def _contains(value: Any, wanted: Any) -> bool:
    if isinstance(value, str):
        return str(wanted) in value
    if isinstance(value, list) and any(_equal(one, wanted) for one in value):
        return True
    if isinstance(value, list | dict):
        return str(wanted) in _encode(value).decode()
    return False


def _ordering(op: str, wanted: Any) -> Callable[[Any, int], bool]:
    holds = _ORDERED[op]
    if isinstance(wanted, str):
        limit = moment(wanted)
        if limit is None:
            return lambda value, _: isinstance(value, str) and holds(value, wanted)
        at = microseconds(limit.astimezone(UTC))
        return lambda value, _: (got := instant_of(value)) is not None and holds(got, at)
    if isinstance(wanted, bool) or not isinstance(wanted, int | float):
        return lambda _value, _now: False
    return lambda value, _: (
        isinstance(value, int | float) and not isinstance(value, bool) and holds(value, wanted)
    )


def _spanning(op: str, span_us: int) -> Callable[[Any, int], bool]:
    holds: dict[str, Callable[[int, int], bool]] = {
        "within last": lambda at, now: now - span_us <= at <= now,
        "within next": lambda at, now: now <= at <= now + span_us,
        "before last": lambda at, now: at < now - span_us,
        "after next": lambda at, now: at > now + span_us,
    }
    check = holds[op]
    return lambda value, now: (at := instant_of(value)) is not None and check(at, now)


def instant_of(value: Any) -> int | None:
    """A date as text, in microseconds since 1970 UTC; None for anything else."""
    if not isinstance(value, str) or not 10 <= len(value) <= 40:
        return None
    found = moment(value)
    return None if found is None else microseconds(found.astimezone(UTC))


def _needed_instant(text: Any) -> int:
    found = instant_of(text)
    if found is None:
        raise AssertionError(f"{text!r} was checked to be a date")
    return found
