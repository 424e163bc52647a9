"""Writes a condition as text, which reads as the same condition."""

from __future__ import annotations

import re
from typing import Any, assert_never

import msgspec

from penstock.profiles.language.model import (
    Aggregate,
    All,
    AnyOf,
    Condition,
    Count,
    Dates,
    Did,
    Event,
    InAudience,
    Not,
    Test,
    Tests,
    Trait,
    Users,
    Window,
    Within,
)
from penstock.profiles.language.text import UNITS

__all__ = ["write"]

_PLAIN = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*")
_KEYWORDS = frozenset(
    {"did", "not", "in", "trait", "any", "all", "none", "sum", "average", "min", "max", "and",
     "or", "where", "is", "within", "between", "after", "at", "exactly", "more", "less"}
)  # fmt: skip
_ONCE = Count()
_SPANS = ("within last", "within next", "before last", "after next")


def write(condition: Condition) -> str:
    """As one line."""
    match condition:
        case Did():
            return _did(condition, "did")
        case Aggregate():
            return _aggregate(condition)
        case Trait():
            return f"trait {_name(condition.name)} {_comparison(condition.op, condition.value)}"
        case InAudience():
            return f"in audience {_name(condition.audience)}"
        case All():
            return " and ".join(_inner(one) for one in condition.of)
        case AnyOf():
            return " or ".join(_inner(one) for one in condition.of)
        case Not():
            return _negated(condition.of)
        case Users():
            return f"{condition.quantifier} of users ({write(condition.of)})"
        case _ as never:
            assert_never(never)


def _negated(condition: Condition) -> str:
    if isinstance(condition, Did):
        return _did(condition, "did not")
    if isinstance(condition, InAudience):
        return f"not in audience {_name(condition.audience)}"
    if isinstance(condition, All | AnyOf | Not):
        return f"not ({write(condition)})"
    return f"not {write(condition)}"


def _inner(condition: Condition) -> str:
    text = write(condition)
    return f"({text})" if isinstance(condition, All | AnyOf) else text


def _did(condition: Did, verb: str) -> str:
    parts = [verb, _event(condition.event)]
    count = condition.count
    if count != _ONCE:
        parts.append(f"{count.op} {count.times} times")
    if condition.window is not None:
        parts.append(_window(condition.window))
    if condition.after is not None:
        parts.append(f"after last {_event(condition.after)}")
    return " ".join(parts)


def _event(event: Event) -> str:
    name = msgspec.json.encode(event.name).decode()
    return name if event.where is None else f"{name} where {_tests(event.where)}"


def _aggregate(condition: Aggregate) -> str:
    event = condition.event
    path = _property(condition.property)
    text = f"{condition.function}({msgspec.json.encode(event.name).decode()}.{path})"
    if event.where is not None:
        text += f" where {_tests(event.where)}"
    text += f" {condition.op} {_value(condition.value)}"
    return text if condition.window is None else f"{text} {_window(condition.window)}"


def _window(window: Window) -> str:
    if isinstance(window, Within):
        return f"within {_span(window.seconds)}"
    if isinstance(window, Dates):
        return f"between {window.start} and {window.end}"
    return f"between {_span(window.nearest)} and {_span(window.farthest)} ago"


def _tests(tests: Test | Tests) -> str:
    """Behind ``where``: only ``and`` may stand outside parentheses."""
    if isinstance(tests, Test):
        return f"{_property(tests.property)} {_comparison(tests.op, tests.value)}"
    parts = [_inner_tests(one) for one in tests.of]
    if tests.match == "all":
        return " and ".join(parts)
    together = f"({' or '.join(parts)})"
    return together if tests.match == "any" else f"not {together}"


def _inner_tests(tests: Test | Tests) -> str:
    text = _tests(tests)
    return f"({text})" if isinstance(tests, Tests) and tests.match == "all" else text


def _comparison(op: str, value: Any) -> str:
    if op in ("exists", "does not exist"):
        return op
    if op in _SPANS:
        return f"{op} {_span(value)}"
    if op in ("one of", "not one of", "contains one of"):
        return f"{op} ({', '.join(_value(one) for one in value)})"
    if op in ("before", "after"):
        return f"{op} {value}"
    return f"{op} {_value(value)}"


def _value(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _span(seconds: int) -> str:
    """In the largest unit that divides it."""
    for unit, length in reversed(UNITS.items()):
        if seconds % length == 0 and (seconds or unit == "second"):
            amount = seconds // length
            return f"{amount} {unit}{'' if amount == 1 else 's'}"
    raise AssertionError("every span is a number of seconds")


def _property(name: str) -> str:
    return ".".join(_name(part) for part in name.split("."))


def _name(name: str) -> str:
    plain = _PLAIN.fullmatch(name) and name not in _KEYWORDS
    return name if plain else msgspec.json.encode(name).decode()
