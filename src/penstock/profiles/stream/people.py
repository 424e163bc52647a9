"""The people in memory: loaded when an event names them, written at the end of a batch."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Protocol

from penstock.profiles.stream.profile import (
    Profile,
    SegmentState,
    Standing,
    decode_standing,
    decode_state,
    encode_standing,
    encode_state,
)

__all__ = ["Graph", "People"]

_CAPACITY = 200_000


class Graph(Protocol):
    """What people need to know of the identity graph."""

    def segments_of(self, profile: int) -> tuple[int, ...]:
        """The profile's own segment and those merged into it."""

    def is_known(self, profile: int) -> bool:
        """Whether it has an id that is more than a browser's or device's."""


class People:
    """A bounded cache over the tables ``states`` and ``standings``.

    What was changed stays until ``write``, which runs inside the batch's transaction.
    """

    def __init__(
        self, connection: sqlite3.Connection, graph: Graph, capacity: int = _CAPACITY
    ) -> None:
        self._connection = connection
        self._graph = graph
        self._capacity = capacity
        self._cache: OrderedDict[int, Profile] = OrderedDict()
        self._changed: dict[int, Profile] = {}
        self._gone: set[int] = set()
        self._inherited: list[tuple[str, int, int]] = []
        self._left: dict[int, list[str]] = {}
        """Audiences of those that are no profiles any more."""

    def get(self, number: int, segments: tuple[int, ...] = ()) -> Profile:
        """A profile by its number, new if it has no row yet.

        ``segments``: of one that the graph has merged away meanwhile, those that were of it.
        """
        found = self._cache.get(number)
        if found is None:
            segments = segments or self._graph.segments_of(number)
            found = self._cache[number] = self._load(number, segments)
        else:
            self._cache.move_to_end(number)
        return found

    def new(self, number: int, known: bool) -> Profile:
        """A profile of which there is certainly nothing yet."""
        profile = Profile(number, (number,), known, Standing(), stored=False)
        profile.states[number] = SegmentState({}, {})
        self._cache[number] = profile
        return profile

    def _load(self, number: int, segments: tuple[int, ...]) -> Profile:
        row = self._connection.execute(
            "SELECT standing FROM standings WHERE profile = ?", (number,)
        ).fetchone()
        standing = decode_standing(row[0]) if row else Standing()
        known = self._graph.is_known(number)
        profile = Profile(number, segments, known, standing, row is not None)
        for segment in segments:
            profile.states[segment] = self._state(segment)
        return profile

    def _state(self, segment: int) -> SegmentState:
        row = self._connection.execute(
            "SELECT state FROM states WHERE segment = ?", (segment,)
        ).fetchone()
        return decode_state(row[0]) if row else SegmentState({}, {})

    def touch(self, profile: Profile) -> None:
        """It has to be evaluated, and written."""
        profile.changed = True
        self._changed[profile.id] = profile

    @property
    def changed(self) -> list[Profile]:
        """Those touched since the last ``write``, in the order in which that happened first."""
        return list(self._changed.values())

    def merge(self, into: Profile, other: Profile) -> None:
        """All that was of ``other`` is of ``into`` from now on."""
        into.segments = tuple(sorted({*into.segments, *other.segments}))
        into.states |= other.states
        into.dirty |= other.dirty
        into.known = self._graph.is_known(into.id)
        into.full = into.concluded = True
        into.values = into.ids = None
        mine, theirs = into.standing.audiences, other.standing.audiences
        for slug, since_us in theirs.items():
            mine[slug] = min(since_us, mine.get(slug, since_us))
            self._inherited.append((slug, into.id, mine[slug]))
        into.standing.turns = max(into.standing.turns, other.standing.turns)
        into.arrived += other.arrived
        self._cache.pop(other.id, None)
        self._changed.pop(other.id, None)
        if other.stored:
            self._gone.add(other.id)
        self._left[other.id] = list(theirs)
        self.touch(into)

    def split(self, profile: int, apart: int) -> None:
        """A merge was undone: both stand where the one stood, and have to be evaluated."""
        self._cache.pop(profile, None)
        first, second = self.get(profile), self.get(apart)
        audiences = dict(first.standing.audiences)
        second.standing = Standing(audiences, dict(first.standing.traits), first.standing.turns)
        self._inherited += [(slug, apart, since_us) for slug, since_us in audiences.items()]
        for one in (first, second):
            one.full = one.concluded = True
            self.touch(one)

    def write(self, connection: sqlite3.Connection) -> None:
        """Write what changed; in the batch's transaction. Nothing is forgotten until ``settle``."""
        states = [
            (segment, encode_state(profile.states[segment]))
            for profile in self._changed.values()
            for segment in profile.dirty
        ]
        connection.executemany("INSERT OR REPLACE INTO states VALUES (?, ?)", states)
        standings = [
            (profile.id, encode_standing(profile.standing), profile.standing.due_us)
            for profile in self._changed.values()
            if profile.concluded or not profile.stored
        ]
        connection.executemany("INSERT OR REPLACE INTO standings VALUES (?, ?, ?)", standings)
        gone = [(number,) for number in self._gone]
        connection.executemany("DELETE FROM standings WHERE profile = ?", gone)
        members = [(slug, number) for number, slugs in self._left.items() for slug in slugs]
        connection.executemany("DELETE FROM members WHERE audience = ? AND profile = ?", members)
        connection.executemany("INSERT OR REPLACE INTO members VALUES (?, ?, ?)", self._inherited)

    def settle(self) -> None:
        """The transaction is through."""
        for profile in self._changed.values():
            profile.dirty.clear()
            profile.touched.clear()
            profile.arrived.clear()
            profile.full = profile.changed = profile.concluded = False
            profile.stored = True
        self._clear()
        while len(self._cache) > self._capacity:
            self._cache.popitem(last=False)

    def forget(self, profiles: Iterable[int] | None = None) -> None:
        """Drop these, or all, from memory: what is written counts."""
        if profiles is None:
            self._cache.clear()
            self._clear()
            return
        for number in profiles:
            self._cache.pop(number, None)
            self._changed.pop(number, None)

    def _clear(self) -> None:
        self._changed.clear()
        self._gone.clear()
        self._inherited.clear()
        self._left.clear()

    def due(self, now_us: int, most: int) -> Sequence[int]:
        """Profiles in which time may have changed something, longest due first."""
        rows = self._connection.execute(
            "SELECT profile FROM standings WHERE due_us <= ? ORDER BY due_us LIMIT ?",
            (now_us, most),
        )
        return [number for (number,) in rows]
