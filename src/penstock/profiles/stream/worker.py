"""The one writer of a space's file: reads ``events``, and keeps people up to date."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from penstock import logs
from penstock.errors import JournalDamaged, PenstockError
from penstock.events.model import Record
from penstock.journal.contract import EVENTS, Block, Journal
from penstock.profiles.identity.graph import IdentityGraph, Merge
from penstock.profiles.observed import Observed, observe
from penstock.profiles.stream.accounts import Accounts
from penstock.profiles.stream.assigned import packed
from penstock.profiles.stream.conclusions import Conclusions
from penstock.profiles.stream.file import ProfileFile
from penstock.profiles.stream.outbox import SOURCE
from penstock.profiles.stream.people import People
from penstock.profiles.stream.profile import Profile, SegmentState
from penstock.profiles.traits.custom import observe_traits

__all__ = ["SpaceWorker", "consumer_of"]

log = logs.get("penstock.profiles")
_CHUNK = 5_000
_DUE = 2_000
_RECENT = 800
"""Bytes of the places of the last events: one hundred of them."""
_PLACE_BITS = 44
"""Of a place: the position; the rest is the partition."""
_decode_records = msgspec.msgpack.Decoder(list[Record]).decode


def consumer_of(space: str) -> str:
    """Name under which the journal knows the profiles of a space."""
    return f"profiles:{space}"


def _now_us() -> int:
    return time.time_ns() // 1000


class SpaceWorker:
    """Profiles of one space.

    A step reads at most one chunk of each partition. All that follows from it, the positions
    included, is written in one transaction: after a crash it is done again from the start, with
    the same result.
    """

    def __init__(
        self,
        space: str,
        journal: Journal,
        file: ProfileFile,
        graph: IdentityGraph,
        *,
        belongs: Callable[[str], bool],
        clock_us: Callable[[], int] = _now_us,
        capacity: int = 200_000,
    ) -> None:
        """``belongs``: whether the source of this slug is of this space; asked once for each."""
        self.space = space
        self._journal = journal
        self._file = file
        self.graph = graph
        self.people = People(file.connection, graph, capacity)
        self._accounts = Accounts(file.connection)
        self._belongs = belongs
        self._sources: dict[str, bool] = {SOURCE: False}
        self._clock_us = clock_us
        self._strategies: Mapping[str, str] = {}
        self._conclusions: Conclusions | None = None
        self._observe: Callable[[dict[str, Any], Observed], Any] = lambda _state, _event: ()
        rows = file.connection.execute("SELECT part, next FROM positions")
        self._positions: dict[int, int] = dict(rows.fetchall())
        self._moved: dict[int, int] = {}
        self._told: dict[int, int] = {}
        self._assigned: list[tuple[int, int, int, bytes]] = []
        self.events = 0
        self.merges = 0

    def use(
        self,
        conclusions: Conclusions,
        observe_signals: Callable[[dict[str, Any], Observed], Any],
        strategies: Mapping[str, str],
    ) -> None:
        """Go on with other definitions; between two steps."""
        self._sources = {SOURCE: False}
        self._conclusions = conclusions
        self._observe = observe_signals
        self._strategies = strategies

    @property
    def positions(self) -> Mapping[int, int]:
        """Where it reads on, by partition of ``events``."""
        return self._positions

    def step(self) -> int:
        """Take in what is waiting and what is due; returns how much that was."""
        read = 0
        for part in self._journal.partitions(EVENTS):
            read += self._advance(part)
        return read + self._let_time_pass()

    def _advance(self, part: int) -> int:
        position = self._positions.get(part, 0)
        try:
            reading = self._journal.read(EVENTS, part, position, _CHUNK)
        except JournalDamaged as damage:
            log.warning("events can't be read on yet", error=damage)
            return 0
        for gap in reading.gaps:
            log.error("events are missing in profiles", first=gap.first, end=gap.end,
                      reason=gap.reason)  # fmt: skip
        if reading.next == position:
            self._check_end(part, position)
            return 0
        count = 0
        with self.batch():
            for block in reading.blocks:
                count += self._take_in(part, position, block)
            self._moved[part] = reading.next
        self.events += count
        return reading.next - position

    def _check_end(self, part: int, position: int) -> None:
        """A journal that ends before what was read lost events; what comes is read all the same."""
        end = self._journal.end(EVENTS, part)
        if end < position:
            log.error("events end before what profiles have read; they read on from the end",
                      part=part, end=end, read=position)  # fmt: skip
            self._positions[part] = end

    def _take_in(self, part: int, position: int, block: Block) -> int:
        try:
            records = _decode_records(block.body)
        except msgspec.MsgspecError as error:
            log.error("events can't be decoded", first=block.first, end=block.end, error=error)
            return 0
        skipped = max(position - block.first, 0)
        assigned: list[int] = []
        for place, record in enumerate(records[skipped:], block.first + skipped):
            try:
                assigned.append(self._one(part, place, record))
            except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:
                log.error("an event can't be read", message=record.message_id, error=error)
                assigned.append(0)
        if any(assigned):
            first = block.first + skipped
            self._assigned.append((part, first, len(assigned), packed(assigned)))
        return len(assigned)

    def _one(self, part: int, place: int, record: Record) -> int:
        """Take one event in; returns the segment it belongs to, 0 for none."""
        belongs = self._sources.get(record.source)
        if belongs is None:
            belongs = self._sources[record.source] = self._belongs(record.source)
        if not belongs:
            return 0
        event = observe(record.source, record.received_us, record.payload)
        if event.type == "group":
            self._accounts.learn(event, self._strategies)
        found = self.graph.resolve(event)
        if found is None:
            return 0
        people = self.people
        profile = people.new(found.profile, False) if found.created else people.get(found.profile)
        for merge in found.merges:
            self._merge(profile, merge)
        if found.attached:
            self._attach(profile, found.attached)
        self._learn(profile, found.segment, event, part << _PLACE_BITS | place)
        return found.segment

    def _learn(self, profile: Profile, segment: int, event: Observed, place: int) -> None:
        """What an event says of the person it is of."""
        state = profile.states[segment]
        _remember(state, event, place)
        profile.dirty.add(segment)
        touched = self._observe(state.signals, event)
        if touched:
            profile.touched.update(touched)
        if event.type == "identify":
            names = observe_traits(state.traits, event, self._strategies)
            if names:
                profile.touched.update([f"trait {name}" for name in names])
                profile.values = None
        if not profile.changed:
            self.people.touch(profile)

    def _merge(self, profile: Profile, merge: Merge) -> None:
        """Others know the ids of either side: each is told what it does not know yet."""
        other = self.people.get(merge.other, merge.segments)
        told = other.segments
        if other.standing.audiences.keys() - profile.standing.audiences.keys():
            told = (*told, *profile.segments)
        arrived = [(one.type, one.value) for one in self.graph.ids_in(told)]
        self.people.merge(profile, other)
        profile.arrived += arrived
        self.merges += 1

    def _attach(self, profile: Profile, attached: Any) -> None:
        profile.arrived += [(one.type, one.value) for one in attached]
        profile.ids = None
        if not profile.known and self.graph.is_known(profile.id):
            profile.known = profile.full = True

    def _let_time_pass(self) -> int:
        due = self.people.due(self._clock_us(), _DUE)
        if not due:
            return 0
        with self.batch():
            for number in due:
                profile = self.people.get(number)
                profile.full = True
                self.people.touch(profile)
        return len(due)

    @contextmanager
    def batch(self) -> Iterator[sqlite3.Connection]:
        """What is done inside becomes true at its end, together with what follows from it.

        Whoever was touched is evaluated then. When anything fails nothing has happened. Raises
        ProfileError.
        """
        try:
            with self._file.transaction() as connection:
                yield connection
                self._write(connection)
        except BaseException:
            self._settle()
            self.graph.discard()
            self.people.forget()
            raise
        self._positions.update(self._moved)
        self.people.settle()
        self._settle()

    def _write(self, connection: sqlite3.Connection) -> None:
        conclusions = self._conclusions
        if conclusions is not None:
            now_us = self._clock_us()
            for profile in self.people.changed:
                conclusions.conclude(profile, now_us)
        self.people.write(connection)
        self._accounts.write(connection)
        if conclusions is not None:
            conclusions.write(connection)
        connection.executemany(
            "INSERT OR REPLACE INTO assignments VALUES (?, ?, ?, ?)", self._assigned
        )
        moved = list(self._moved.items())
        connection.executemany("INSERT OR REPLACE INTO positions VALUES (?, ?)", moved)

    def _settle(self) -> None:
        self._assigned.clear()
        self._accounts.settle()
        self._moved.clear()
        if self._conclusions is not None:
            self._conclusions.settle()

    def trim(self) -> None:
        """Let go to whom events belonged that the journal has not any more."""
        with self._file.transaction() as connection:
            for part in self._positions:
                start = self._journal.start(EVENTS, part)
                connection.execute(
                    "DELETE FROM assignments WHERE part = ? AND first + count <= ?", (part, start)
                )

    def tell_positions(self) -> None:
        """Tell the journal, for retention and ``penstock status``."""
        consumer = consumer_of(self.space)
        for part, position in self._positions.items():
            if self._told.get(part) != position:
                try:
                    self._journal.commit(consumer, EVENTS, part, position)
                except PenstockError as error:
                    log.warning("a position can't be told", error=error)
                    return
                self._told[part] = position


def _remember(state: SegmentState, event: Observed, place: int) -> None:
    state.events += 1
    state.recent = (state.recent + place.to_bytes(8, "big"))[-_RECENT:]
    if not state.first[0]:
        state.first = (event.message_id, event.source)
    state.last = (event.message_id, event.source, event.received_us)
