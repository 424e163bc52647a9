"""How much is kept of the events of a signal: no more than its question needs.

A state is a list that can be written as it is. It begins with what is *waiting*: events that were
added and not yet absorbed, in order of time; ``settle`` absorbs those that have happened by now,
so that an event with a timestamp to come counts when it is due. Everything is such that the order
of arrival makes no difference: states of two segments combine into what one would be.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any, Protocol

import msgspec

__all__ = ["Counting", "Edge", "Entries", "Extreme", "Keep", "Summing", "Tally", "Times", "exact"]

State = list[Any]
_EXACT = Context(prec=60)
_encode = msgspec.json.Encoder(order="deterministic").encode


class Keep(Protocol):
    """One way of keeping."""

    def empty(self) -> State:
        """Nothing yet."""

    def add(self, state: State, order: tuple[int, int, str], value: Any) -> None:
        """An event; it waits until ``settle``."""

    def settle(self, state: State, now_us: int) -> None:
        """Absorb what has happened by now, and let go what can't matter any more."""

    def combine(self, states: Sequence[State]) -> State:
        """The state of all together; the given ones stay as they are."""


def exact(value: Any) -> Decimal | None:
    """A number as it was written; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return Decimal(repr(value))


@dataclass(frozen=True)
class Counting:
    """How many there were: [waiting times, count]. With a range only those within it."""

    first_us: int | None = None
    last_us: int | None = None

    def empty(self) -> State:
        """Nothing yet."""
        return [[], 0]

    def add(self, state: State, order: tuple[int, int, str], value: Any) -> None:
        """An event; it waits until ``settle``."""
        at = order[0]
        if self.first_us is not None and not self.first_us <= at <= (self.last_us or 0):
            return
        insort(state[0], at)

    def settle(self, state: State, now_us: int) -> None:
        """Absorb what has happened."""
        waiting = state[0]
        if waiting and waiting[0] <= now_us:
            due = bisect_right(waiting, now_us)
            state[1] += due
            del waiting[:due]

    def combine(self, states: Sequence[State]) -> State:
        """Both counts together."""
        return [sorted(at for one in states for at in one[0]), sum(one[1] for one in states)]


@dataclass(frozen=True)
class Times:
    """When they were: [ascending times]. The ``newest`` so many, or those of a horizon."""

    newest: int = 0
    """So many of those that have happened; 0: all within the horizon."""
    horizon_us: int = 0

    def empty(self) -> State:
        """Nothing yet."""
        return [[]]

    def add(self, state: State, order: tuple[int, int, str], value: Any) -> None:
        """An event."""
        times = state[0]
        if not times or order[0] >= times[-1]:
            times.append(order[0])
        else:
            insort(times, order[0])

    def settle(self, state: State, now_us: int) -> None:
        """Let go what is too old, or has enough newer ones after it."""
        times = state[0]
        if self.newest:
            spare = bisect_right(times, now_us) - self.newest
        else:
            spare = bisect_left(times, now_us - self.horizon_us)
        if spare > 0:
            del times[:spare]

    def combine(self, states: Sequence[State]) -> State:
        """All times together."""
        return [sorted(at for one in states for at in one[0])]


@dataclass(frozen=True)
class Entries:
    """When, and with which value: [ascending entries (time, receipt, message id, value)]."""

    horizon_us: int

    def empty(self) -> State:
        """Nothing yet."""
        return [[]]

    def add(self, state: State, order: tuple[int, int, str], value: Any) -> None:
        """An event; one without a value does not count."""
        if value is not None:
            insort(state[0], [*order, value], key=_order)

    def settle(self, state: State, now_us: int) -> None:
        """Let go what is too old."""
        entries = state[0]
        spare = bisect_left(entries, now_us - self.horizon_us, key=_time)
        if spare:
            del entries[:spare]

    def combine(self, states: Sequence[State]) -> State:
        """All entries together."""
        return [sorted((entry for one in states for entry in one[0]), key=_order)]


@dataclass(frozen=True)
class Summing:
    """Sum and number of values: [waiting (time, text), count, sum as text]; no rounding."""

    first_us: int | None = None
    last_us: int | None = None

    def empty(self) -> State:
        """Nothing yet."""
        return [[], 0, "0"]

    def add(self, state: State, order: tuple[int, int, str], value: Any) -> None:
        """An event; what is no number does not count."""
        number = exact(value)
        if number is not None and _inside(order[0], self.first_us, self.last_us):
            insort(state[0], [order[0], str(number)], key=_time)

    def settle(self, state: State, now_us: int) -> None:
        """Absorb what has happened."""
        waiting = state[0]
        if waiting and waiting[0][0] <= now_us:
            due = bisect_right(waiting, now_us, key=_time)
            total = Decimal(state[2])
            for _, text in waiting[:due]:
                total = _EXACT.add(total, Decimal(text))
            state[1] += due
            state[2] = str(total)
            del waiting[:due]

    def combine(self, states: Sequence[State]) -> State:
        """Both sums together."""
        total = Decimal(0)
        for one in states:
            total = _EXACT.add(total, Decimal(one[2]))
        waiting = sorted((entry for one in states for entry in one[0]), key=_time)
        return [waiting, sum(one[1] for one in states), str(total)]


@dataclass(frozen=True)
class Extreme:
    """The least or greatest number: [waiting (time, number), number or None]."""

    greatest: bool
    first_us: int | None = None
    last_us: int | None = None

    def empty(self) -> State:
        """Nothing yet."""
        return [[], None]

    def add(self, state: State, order: tuple[int, int, str], value: Any) -> None:
        """An event; what is no number does not count."""
        if exact(value) is not None and _inside(order[0], self.first_us, self.last_us):
            insort(state[0], [order[0], value], key=_time)

    def settle(self, state: State, now_us: int) -> None:
        """Absorb what has happened."""
        waiting = state[0]
        if waiting and waiting[0][0] <= now_us:
            due = bisect_right(waiting, now_us, key=_time)
            state[1] = self._of([state[1], *(number for _, number in waiting[:due])])
            del waiting[:due]

    def combine(self, states: Sequence[State]) -> State:
        """Of both."""
        waiting = sorted((entry for one in states for entry in one[0]), key=_time)
        return [waiting, self._of([one[1] for one in states])]

    def _of(self, numbers: list[Any]) -> Any:
        given = [number for number in numbers if number is not None]
        if not given:
            return None
        return max(given) if self.greatest else min(given)


@dataclass(frozen=True)
class Tally:
    """How often each value was there: [waiting (time, value as JSON), {value as JSON: count}]."""

    def empty(self) -> State:
        """Nothing yet."""
        return [[], {}]

    def add(self, state: State, order: tuple[int, int, str], value: Any) -> None:
        """An event; one without a value does not count."""
        if value is not None:
            insort(state[0], [order[0], _encode(value).decode()], key=_time)

    def settle(self, state: State, now_us: int) -> None:
        """Absorb what has happened."""
        waiting, counts = state
        if waiting and waiting[0][0] <= now_us:
            due = bisect_right(waiting, now_us, key=_time)
            for _, text in waiting[:due]:
                counts[text] = counts.get(text, 0) + 1
            del waiting[:due]

    def combine(self, states: Sequence[State]) -> State:
        """Both tallies together."""
        counts: dict[str, int] = {}
        for one in states:
            for text, count in one[1].items():
                counts[text] = counts.get(text, 0) + count
        return [sorted((entry for one in states for entry in one[0]), key=_time), counts]


@dataclass(frozen=True)
class Edge:
    """The first or last one: [waiting entries, entry or None], an entry as of ``Entries``."""

    last: bool

    def empty(self) -> State:
        """Nothing yet."""
        return [[], None]

    def add(self, state: State, order: tuple[int, int, str], value: Any) -> None:
        """An event; one without a value does not count."""
        if value is not None:
            insort(state[0], [*order, value], key=_order)

    def settle(self, state: State, now_us: int) -> None:
        """Absorb what has happened."""
        waiting = state[0]
        if waiting and waiting[0][0] <= now_us:
            due = bisect_right(waiting, now_us, key=_time)
            state[1] = self._of([state[1], *waiting[:due]])
            del waiting[:due]

    def combine(self, states: Sequence[State]) -> State:
        """Of both."""
        waiting = sorted((entry for one in states for entry in one[0]), key=_order)
        return [waiting, self._of([one[1] for one in states])]

    def _of(self, entries: list[Any]) -> Any:
        given = [entry for entry in entries if entry is not None]
        if not given:
            return None
        return max(given, key=_order) if self.last else min(given, key=_order)


def _order(entry: Sequence[Any]) -> tuple[int, int, str]:
    return (entry[0], entry[1], entry[2])


def _time(entry: Sequence[Any]) -> int:
    at: int = entry[0]
    return at


def _inside(at: int, first_us: int | None, last_us: int | None) -> bool:
    return first_us is None or first_us <= at <= (last_us or 0)
