"""Conditions, compiled: whether one holds now, and when time alone may change that."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from datetime import UTC, timedelta
from decimal import Decimal
from typing import Any, assert_never

import msgspec

from penstock.errors import ConfigurationError
from penstock.profiles.language.model import (
    Aggregate,
    All,
    AnyOf,
    Condition,
    Count,
    Dates,
    Did,
    InAudience,
    Interval,
    Not,
    Trait,
    Users,
    Window,
    Within,
)
from penstock.profiles.language.text import moment
from penstock.profiles.observed import microseconds
from penstock.profiles.signals.comparing import SPANS, compare, instant_of
from penstock.profiles.signals.keeping import Counting, Entries, Extreme, Summing, Times
from penstock.profiles.signals.signal import Signal, signal

__all__ = ["NEVER", "Answer", "Compiled", "Look", "compile_condition", "range_of", "window_us"]

NEVER = 1 << 62
"""Time alone changes nothing."""
Answer = tuple[bool, int]
"""Whether it holds, and until when at least that can only change by an event (microseconds)."""
_US = 1_000_000
_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b, "!=": lambda a, b: a != b, ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
    "at least": lambda a, b: a >= b, "at most": lambda a, b: a <= b,
    "exactly": lambda a, b: a == b, "more than": lambda a, b: a > b,
    "less than": lambda a, b: a < b,
}  # fmt: skip


class Look(msgspec.Struct, gc=False):
    """What a condition looks at."""

    signals: Mapping[str, Any]
    """By key; settled as of the time that is asked about."""
    traits: Mapping[str, Any]
    """Custom traits."""
    computed: Mapping[str, Any]
    """Computed traits; they hide custom ones of the same name."""
    members: Any
    """Audiences of which it is known to be a member: supports ``in``."""


Check = Callable[[Look, int], Answer]


class Compiled(msgspec.Struct):
    """A condition, ready to be asked."""

    check: Check
    signals: list[Signal]
    traits: set[str]
    """Names of the traits it looks at."""
    audiences: set[str]
    """Slugs of the audiences it refers to."""


def compile_condition(condition: Condition) -> Compiled:
    """Raises ConfigurationError for what can only be asked of an account."""
    found = Compiled(lambda _look, _now: (False, NEVER), [], set(), set())
    found.check = _compile(condition, found)
    return found


def _compile(condition: Condition, found: Compiled) -> Check:
    match condition:
        case Did():
            return _did(condition, found)
        case Aggregate():
            return _aggregate(condition, found)
        case Trait():
            return _trait(condition, found)
        case InAudience():
            found.audiences.add(condition.audience)
            slug = condition.audience
            return lambda look, _: (slug in look.members, NEVER)
        case All():
            return _all([_compile(one, found) for one in condition.of])
        case AnyOf():
            return _any([_compile(one, found) for one in condition.of])
        case Not():
            return _not(_compile(condition.of, found))
        case Users():
            raise ConfigurationError(
                "`of users` is for audiences of accounts; write level: account, or leave it out"
            )
        case _ as never:
            assert_never(never)


def _all(checks: list[Check]) -> Check:
    def check(look: Look, now: int) -> Answer:
        until_true, until_false, holds = NEVER, 0, True
        for one in checks:
            truth, until = one(look, now)
            if truth:
                until_true = min(until_true, until)
            else:
                holds = False
                until_false = max(until_false, until)
        return (True, until_true) if holds else (False, until_false)

    return check


def _any(checks: list[Check]) -> Check:
    def check(look: Look, now: int) -> Answer:
        until_true, until_false, holds = 0, NEVER, False
        for one in checks:
            truth, until = one(look, now)
            if truth:
                holds = True
                until_true = max(until_true, until)
            else:
                until_false = min(until_false, until)
        return (True, until_true) if holds else (False, until_false)

    return check


def _not(one: Check) -> Check:
    def check(look: Look, now: int) -> Answer:
        truth, until = one(look, now)
        return not truth, until

    return check


# Events -------------------------------------------------------------------------------------


def _did(condition: Did, found: Compiled) -> Check:
    if condition.after is not None:
        return _did_after(condition, found)
    window, count = condition.window, condition.count
    event = condition.event
    if window is None or isinstance(window, Dates):
        keep = Counting(*range_of(window))
        one = signal(event.name, event.where, "", keep)
        found.signals.append(one)
        return _counted(one.key, count)
    if isinstance(window, Within):
        one = signal(event.name, event.where, "", Times(newest=count.times + 1))
        found.signals.append(one)
        return _counted_within(one.key, count, window.seconds * _US)
    one = signal(event.name, event.where, "", Times(horizon_us=window.farthest * _US))
    found.signals.append(one)
    return _counted_between(one.key, count, window)


def _counted(key: str, count: Count) -> Check:
    holds, times = _SIGNS[count.op], count.times

    def check(look: Look, _now: int) -> Answer:
        state = look.signals.get(key)
        if state is None:
            return holds(0, times), NEVER
        waiting = state[0]
        return holds(state[1], times), waiting[0] if waiting else NEVER

    return check


def _counted_within(key: str, count: Count, span: int) -> Check:
    holds, times = _SIGNS[count.op], count.times

    def check(look: Look, now: int) -> Answer:
        state = look.signals.get(key)
        if state is None:
            return holds(0, times), NEVER
        every = state[0]
        due = bisect_right(every, now)
        first = bisect_left(every, now - span, 0, due)
        until = every[due] if due < len(every) else NEVER
        if first < due:
            until = min(until, every[first] + span + 1)
        return holds(due - first, times), until

    return check


def _counted_between(key: str, count: Count, window: Interval) -> Check:
    holds, times = _SIGNS[count.op], count.times
    nearest, farthest = window.nearest * _US, window.farthest * _US

    def check(look: Look, now: int) -> Answer:
        state = look.signals.get(key)
        if state is None:
            return holds(0, times), NEVER
        every = state[0]
        end = bisect_right(every, now - nearest)
        first = bisect_left(every, now - farthest, 0, end)
        until = every[end] + nearest if end < len(every) else NEVER
        if first < end:
            until = min(until, every[first] + farthest + 1)
        return holds(end - first, times), until

    return check


def _did_after(condition: Did, found: Compiled) -> Check:
    """Those later than the last of others. The newest few of both tell."""
    assert condition.after is not None
    count, window = condition.count, condition.window
    if window is None or isinstance(window, Within):
        keep = Times(newest=count.times + 1)
    elif isinstance(window, Interval):
        keep = Times(horizon_us=window.farthest * _US)
    else:
        raise ConfigurationError("`after last` can't be combined with dates; use `within`")
    one = signal(condition.event.name, condition.event.where, "", keep)
    other = signal(condition.after.name, condition.after.where, "", Times(newest=1))
    found.signals += [one, other]
    key, anchor_key = one.key, other.key
    holds, times = _SIGNS[count.op], count.times
    nearest, farthest = window_us(window)

    def check(look: Look, now: int) -> Answer:
        anchors = look.signals.get(anchor_key)
        state = look.signals.get(key)
        every = state[0] if state is not None else ()
        until, after = NEVER, None
        if anchors is not None:
            last = bisect_right(anchors[0], now)
            after = anchors[0][last - 1] if last else None
            until = anchors[0][last] if last < len(anchors[0]) else NEVER
        end = bisect_right(every, now - nearest)
        until = min(until, every[end] + nearest) if end < len(every) else until
        if after is None:
            return holds(0, times), until
        first = bisect_right(every, after, 0, end)
        if farthest is not None:
            first = max(first, bisect_left(every, now - farthest, 0, end))
            until = min(until, every[first] + farthest + 1) if first < end else until
        return holds(end - first, times), until

    return check


# Figures ------------------------------------------------------------------------------------


def _aggregate(condition: Aggregate, found: Compiled) -> Check:
    window, event = condition.window, condition.event
    keep: Any
    if window is None or isinstance(window, Dates):
        if condition.function in ("sum", "average"):
            keep = Summing(*range_of(window))
        else:
            keep = Extreme(condition.function == "max", *range_of(window))
        one = signal(event.name, event.where, condition.property, keep)
        found.signals.append(one)
        return _figure(one.key, condition)
    _, farthest = window_us(window)
    one = signal(event.name, event.where, condition.property, Entries(farthest or 0))
    found.signals.append(one)
    return _windowed_figure(one.key, condition, window)


def _figure(key: str, condition: Aggregate) -> Check:
    holds, wanted = _SIGNS[condition.op], Decimal(repr(condition.value))
    function = condition.function

    def check(look: Look, _now: int) -> Answer:
        state = look.signals.get(key)
        if state is None:
            return function == "sum" and holds(Decimal(0), wanted), NEVER
        waiting = state[0]
        until = waiting[0][0] if waiting else NEVER
        if function == "sum":
            return holds(Decimal(state[2]), wanted), until
        if function == "average":
            return bool(state[1]) and holds(Decimal(state[2]), wanted * state[1]), until
        return state[1] is not None and holds(Decimal(repr(state[1])), wanted), until

    return check


def _windowed_figure(key: str, condition: Aggregate, window: Within | Interval) -> Check:
    holds, wanted = _SIGNS[condition.op], Decimal(repr(condition.value))
    function = condition.function
    nearest, span = window_us(window)
    farthest = span or 0

    def check(look: Look, now: int) -> Answer:
        state = look.signals.get(key)
        every = state[0] if state is not None else ()
        end = bisect_right(every, now - nearest, key=_time)
        first = bisect_left(every, now - farthest, 0, end, key=_time)
        until = every[end][0] + nearest if end < len(every) else NEVER
        if first < end:
            until = min(until, every[first][0] + farthest + 1)
        numbers = [
            Decimal(repr(entry[3]))
            for entry in every[first:end]
            if isinstance(entry[3], int | float) and not isinstance(entry[3], bool)
        ]
        return _compared(function, numbers, holds, wanted), until

    return check


def _compared(
    function: str, numbers: list[Decimal], holds: Callable[[Any, Any], bool], wanted: Decimal
) -> bool:
    if function == "sum":
        return holds(sum(numbers, Decimal(0)), wanted)
    if not numbers:
        return False
    if function == "average":
        return holds(sum(numbers, Decimal(0)), wanted * len(numbers))
    return holds(max(numbers) if function == "max" else min(numbers), wanted)


# Traits -------------------------------------------------------------------------------------


def _trait(condition: Trait, found: Compiled) -> Check:
    found.traits.add(condition.name)
    name, op = condition.name, condition.op
    passes = compare(op, condition.value)
    span = condition.value * _US if op in SPANS else 0

    def check(look: Look, now: int) -> Answer:
        value = look.computed.get(name)
        if value is None:
            value = look.traits.get(name)
        if not span:
            return passes(value, now), NEVER
        at = instant_of(value)
        if at is None:
            return False, NEVER
        edges = (at - span, at - span + 1, at, at + 1, at + span, at + span + 1)
        return passes(value, now), min((edge for edge in edges if edge > now), default=NEVER)

    return check


# Windows ------------------------------------------------------------------------------------


def window_us(window: Window | None) -> tuple[int, int | None]:
    """How long ago the nearest and the farthest events are that count, in microseconds."""
    if isinstance(window, Within):
        return 0, window.seconds * _US
    if isinstance(window, Interval):
        return window.nearest * _US, window.farthest * _US
    return 0, None


def range_of(window: Dates | None) -> tuple[int | None, int | None]:
    """The first and the last microsecond that count."""
    if window is None:
        return None, None
    start, end = moment(window.start), moment(window.end)
    if start is None or end is None:
        raise ConfigurationError(
            f"between {window.start} and {window.end}: write dates such as 2026-01-31, or moments "
            "such as 2026-01-31T18:00:00Z with their zone"
        )
    last = end if "T" in window.end else end + timedelta(days=1, microseconds=-1)
    return microseconds(start.astimezone(UTC)), microseconds(last.astimezone(UTC))


def _time(entry: Any) -> int:
    at: int = entry[0]
    return at
