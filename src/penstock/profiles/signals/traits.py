"""Computed traits: from what is kept to a value."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from penstock.errors import ConfigurationError
from penstock.profiles.language.definitions import TraitSetup
from penstock.profiles.language.model import Test, Tests
from penstock.profiles.language.text import UNITS, parse_tests
from penstock.profiles.signals.conditions import NEVER
from penstock.profiles.signals.keeping import (
    Counting,
    Edge,
    Entries,
    Extreme,
    Keep,
    Summing,
    Tally,
    Times,
)
from penstock.profiles.signals.signal import Signal, signal

__all__ = ["Valued", "compile_trait", "tests_of", "window_of"]

_SPAN = re.compile(r"(\d+(?:\.\d+)?) ?(\w+)")
_encode = msgspec.json.Encoder(order="deterministic").encode
_NEEDS_NO_PROPERTY = ("count", "sql")
Valued = Callable[[Mapping[str, Any], int], tuple[Any, int]]
"""From the settled signals of a profile and the time: the value, and until when.

There is no value (None) while no event counts, for counts too."""
_MOST_FREQUENT_NEEDS = 2


def window_of(text: str) -> int | None:
    """A window such as ``30 days`` in seconds; None for none. Raises ConfigurationError."""
    if not text:
        return None
    match = _SPAN.fullmatch(text.strip())
    unit = UNITS.get(match[2].removesuffix("s")) if match else None
    if match is None or unit is None:
        raise ConfigurationError(f"{text!r} is no span of time; write one such as `30 days`")
    return round(float(match[1]) * unit)


def tests_of(where: str | dict[str, Any]) -> Test | Tests | None:
    """Tests as text or as a tree. Raises ConfigurationError."""
    if not where:
        return None
    if isinstance(where, str):
        return parse_tests(where)
    try:
        return msgspec.convert(where, Test | Tests)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"where: {error}") from error


def compile_trait(setup: TraitSetup) -> tuple[Signal, Valued]:
    """What a trait needs and how its value is made of it. Raises ConfigurationError."""
    if not setup.event:
        raise ConfigurationError(f"a trait of kind {setup.kind} needs `event`")
    if setup.kind not in _NEEDS_NO_PROPERTY and not setup.of:
        raise ConfigurationError(f"a trait of kind {setup.kind} needs `property`")
    span = window_of(setup.within)
    keep = _keep(setup.kind, None if span is None else span * 1_000_000)
    name = "" if setup.kind == "count" else setup.of
    one = signal(setup.event, tests_of(setup.where), name, keep)
    if span is None:
        return one, _whole(one.key, setup.kind)
    return one, _windowed(one.key, setup.kind, span * 1_000_000)


def _keep(kind: str, span_us: int | None) -> Keep:
    if span_us is not None:
        return Times(horizon_us=span_us) if kind == "count" else Entries(span_us)
    if kind == "count":
        return Counting()
    if kind in ("sum", "average"):
        return Summing()
    if kind in ("min", "max"):
        return Extreme(kind == "max")
    if kind in ("first", "last"):
        return Edge(kind == "last")
    return Tally()


def _whole(key: str, kind: str) -> Valued:
    def value(signals: Mapping[str, Any], _now: int) -> tuple[Any, int]:
        state = signals.get(key)
        if state is None:
            return None, NEVER
        waiting = state[0]
        until = NEVER
        if waiting:
            until = waiting[0] if kind == "count" else waiting[0][0]
        return _value_of(kind, state), until

    return value


def _value_of(kind: str, state: list[Any]) -> Any:
    match kind:
        case "count":
            return state[1] or None
        case "min" | "max":
            return state[1]
        case "sum":
            return _number(Decimal(state[2])) if state[1] else None
        case "average":
            return float(Decimal(state[2]) / state[1]) if state[1] else None
        case "first" | "last":
            return state[1][3] if state[1] is not None else None
        case _:
            return _listed(kind, state[1])


def _windowed(key: str, kind: str, span: int) -> Valued:
    def value(signals: Mapping[str, Any], now: int) -> tuple[Any, int]:
        state = signals.get(key)
        every = state[0] if state is not None else ()
        time_of = _time if kind != "count" else None
        end = bisect_right(every, now, key=time_of)
        first = bisect_left(every, now - span, 0, end, key=time_of)
        until = NEVER
        if end < len(every):
            until = every[end] if kind == "count" else every[end][0]
        if first < end:
            oldest = every[first] if kind == "count" else every[first][0]
            until = min(until, oldest + span + 1)
        if kind == "count":
            return (end - first) or None, until
        return _of_entries(kind, every[first:end]), until

    return value


def _of_entries(kind: str, entries: Sequence[Any]) -> Any:
    if kind in ("first", "last"):
        return entries[0 if kind == "first" else -1][3] if entries else None
    values = [entry[3] for entry in entries]
    if kind in ("sum", "average", "min", "max"):
        numbers = [
            value
            for value in values
            if isinstance(value, int | float) and not isinstance(value, bool)
        ]
        return _figure(kind, numbers)
    return _listed(kind, Counter(_encode(value).decode() for value in values))


def _figure(kind: str, numbers: list[Any]) -> Any:
    if not numbers:
        return None
    if kind in ("min", "max"):
        return max(numbers) if kind == "max" else min(numbers)
    total = sum((Decimal(repr(number)) for number in numbers), Decimal(0))
    return _number(total) if kind == "sum" else float(total / len(numbers))


def _listed(kind: str, counts: Mapping[str, int]) -> Any:
    if not counts:
        return None
    if kind == "unique_count":
        return len(counts)
    values = {text: msgspec.json.decode(text) for text in counts}
    if kind == "unique_list":
        return [values[text] for text in sorted(counts, key=lambda text: _alphabetic(values[text]))]
    most = max(counts.values(), default=0)
    if most < _MOST_FREQUENT_NEEDS:
        return None
    best = [text for text, count in counts.items() if count == most]
    return values[min(best, key=lambda text: _alphabetic(values[text]))]


def _alphabetic(value: Any) -> tuple[str, str]:
    text = value if isinstance(value, str) else _encode(value).decode()
    return (text, type(value).__name__)


def _number(total: Decimal) -> int | float:
    return int(total) if total == total.to_integral_value() else float(total)


def _time(entry: Any) -> int:
    at: int = entry[0]
    return at
