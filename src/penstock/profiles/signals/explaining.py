"""Why somebody is in an audience, or is not: each part of the condition with what it found."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from decimal import Decimal
from typing import Any

import msgspec

from penstock.profiles.language.model import (
    Aggregate,
    All,
    AnyOf,
    Condition,
    Dates,
    Did,
    InAudience,
    Not,
    Trait,
    Users,
)
from penstock.profiles.language.writing import write
from penstock.profiles.signals.conditions import NEVER, Look, compile_condition, window_us

__all__ = ["Explained", "explain"]


class Explained(msgspec.Struct, omit_defaults=True):
    """One part of a condition, as it is for one person."""

    condition: str
    """As text."""
    holds: bool
    found: Any = None
    """How often it happened, the figure, or the value of the trait; null: nothing."""
    at_least: bool = False
    """Of a count: no more than this many are kept, as more make no difference."""
    until_us: int | None = None
    """When time alone may change it; microseconds since 1970 UTC."""
    of: list[Explained] = []
    """Its parts."""


def explain(condition: Condition, look: Look, now_us: int) -> Explained:
    """All parts of a condition, for one person. Raises ConfigurationError as compiling does."""
    compiled = compile_condition(condition)
    holds, until = compiled.check(look, now_us)
    explained = Explained(write(condition), holds, until_us=None if until >= NEVER else until)
    match condition:
        case All() | AnyOf():
            explained.of = [explain(one, look, now_us) for one in condition.of]
        case Not() | Users():
            explained.of = [explain(condition.of, look, now_us)]
        case Did():
            keys = [one.key for one in compiled.signals]
            explained.found, explained.at_least = _count(condition, keys, look, now_us)
        case Aggregate():
            explained.found = _figure(condition, compiled.signals[0].key, look, now_us)
        case Trait():
            value = look.computed.get(condition.name)
            explained.found = look.traits.get(condition.name) if value is None else value
        case InAudience():
            explained.found = condition.audience in look.members
    return explained


def _count(condition: Did, keys: list[str], look: Look, now_us: int) -> tuple[int, bool]:
    """How many count, and whether there may be more of them than are kept."""
    state = look.signals.get(keys[0])
    if state is None:
        return 0, False
    window, most = condition.window, condition.count.times + 1
    if condition.after is None and (window is None or isinstance(window, Dates)):
        return int(state[1]), False
    nearest, farthest = window_us(window)
    every = state[0]
    end = bisect_right(every, now_us - nearest)
    first = 0 if farthest is None else bisect_left(every, now_us - farthest, 0, end)
    if condition.after is not None:
        anchors = look.signals.get(keys[1])
        last = bisect_right(anchors[0], now_us) if anchors is not None else 0
        if anchors is None or not last:
            return 0, False
        first = max(first, bisect_right(every, anchors[0][last - 1], 0, end))
    found = max(end - first, 0)
    return found, nearest == 0 and found >= most


def _figure(condition: Aggregate, key: str, look: Look, now_us: int) -> float | int | None:
    state = look.signals.get(key)
    function, window = condition.function, condition.window
    if state is None:
        return 0 if function == "sum" else None
    if window is None or isinstance(window, Dates):
        if function in ("min", "max"):
            extreme: float | int | None = state[1]
            return extreme
        return _of_numbers(function, Decimal(state[2]), state[1])
    nearest, farthest = window_us(window)
    lowest = now_us - (farthest or 0)
    numbers = [
        Decimal(repr(entry[3]))
        for entry in state[0]
        if lowest <= entry[0] <= now_us - nearest
        and isinstance(entry[3], int | float)
        and not isinstance(entry[3], bool)
    ]
    if function in ("min", "max"):
        pick = max if function == "max" else min
        return _plain(pick(numbers)) if numbers else None
    return _of_numbers(function, sum(numbers, Decimal(0)), len(numbers))


def _of_numbers(function: str, total: Decimal, count: int) -> float | int | None:
    if function == "sum":
        return _plain(total)
    return _plain(total / count) if count else None


def _plain(number: Decimal) -> float | int:
    return int(number) if number == number.to_integral_value() else float(number)
