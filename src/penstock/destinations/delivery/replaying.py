"""Carries out the replays that were asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from penstock.destinations.delivery.feed import Feed, Router
from penstock.destinations.delivery.file import DeliveryFile
from penstock.destinations.delivery.limits import Clocks
from penstock.destinations.delivery.pipeline import Pipeline
from penstock.destinations.delivery.reading import SharedReader
from penstock.destinations.delivery.starting import first_received_since
from penstock.destinations.delivery.tally import Tally
from penstock.destinations.delivery.unit import Event
from penstock.destinations.sending.rate import TokenBucket
from penstock.events.model import Record

__all__ = ["Replays"]

_AT_ONCE = 50


@dataclass(frozen=True)
class _Range:
    """What a replay sends again."""

    start_us: int
    end_us: int
    events: frozenset[str]
    sources: frozenset[str]

    def has(self, record: Record) -> bool:
        """By time and source."""
        return self.start_us <= record.received_us < self.end_us and (
            not self.sources or record.source in self.sources
        )

    def takes(self, event: Event) -> bool:
        """By name or call."""
        if not self.events:
            return True
        call = event.get("type")
        name = event.get("event") if call == "track" else event.get("name")
        return name in self.events or f"${call}" in self.events


@dataclass
class _Running:
    id: int
    feed: Feed


class Replays:
    """The replays of one destination, one after the other.

    A replay reads what was in the journal when it began to run, at a bounded rate and behind live
    events, and remembers its place. It is done when nothing of it waits to be tried again.
    """

    def __init__(
        self,
        file: DeliveryFile,
        reader: SharedReader,
        pipeline: Pipeline,
        route: Router,
        tally: Tally,
        clocks: Clocks,
        *,
        rate: float,
        ordered: bool,
    ) -> None:
        self._file = file
        self._reader = reader
        self._pipeline = pipeline
        self._route = route
        self._tally = tally
        self._clocks = clocks
        self._bucket = TokenBucket(rate, clock=clocks.steady)
        self._not_before = 0.0
        self._ordered = ordered
        self._running: _Running | None = None

    def advance(self) -> int:
        """Read on, as the rate allows; returns how many events. Raises JournalError."""
        if self._running is None or self._clocks.steady() < self._not_before:
            return 0
        if self._pipeline.pending > self._pipeline.limits.pending // 4:
            return 0
        done = self._running.feed.advance(_AT_ONCE)
        wait = max((self._bucket.reserve() for _ in range(done)), default=0.0)
        self._not_before = self._clocks.steady() + wait
        return done

    def collect(self) -> None:
        """Hand on what is settled."""
        if self._running is not None:
            self._running.feed.collect()

    def look(self) -> None:
        """Begin, end or leave replays as the file says; call it after a write."""
        run = self._file.connection.execute
        if self._running is not None:
            self._check(self._running)
        self._drop_cancelled()
        if self._running is not None:
            return
        row = run(
            "SELECT id, start_us, end_us, events, sources, state FROM replays "
            "WHERE destination = ? AND state IN ('waiting', 'running') ORDER BY id LIMIT 1",
            (self._pipeline.slug,),
        ).fetchone()
        if row is not None:
            self._begin(row)

    def _check(self, running: _Running) -> None:
        state, waiting = self._file.connection.execute(
            "SELECT state, (SELECT count(*) FROM retries WHERE replay = replays.id) "
            "FROM replays WHERE id = ?",
            (running.id,),
        ).fetchone()
        if state == "cancelled":
            self._running = None
        elif running.feed.is_done and not waiting:
            self._running = None
            with self._file.transaction() as connection:
                connection.execute(
                    "UPDATE replays SET state = 'done', finished_us = ? WHERE id = ? "
                    "AND state = 'running'",
                    (self._clocks.us(), running.id),
                )

    def _drop_cancelled(self) -> None:
        """What waits of a cancelled replay is tried no more."""
        gone = self._file.connection.execute(
            "SELECT id FROM replays WHERE destination = ? AND state = 'cancelled' AND waiting > 0",
            (self._pipeline.slug,),
        ).fetchall()
        if not gone:
            return
        with self._file.transaction() as connection:
            for (replay,) in gone:
                connection.execute("DELETE FROM retries WHERE replay = ?", (replay,))
                connection.execute("UPDATE replays SET waiting = 0 WHERE id = ?", (replay,))

    def _begin(self, row: Sequence[object]) -> None:
        replay, start_us, end_us, events, sources, state = row
        assert isinstance(replay, int) and isinstance(start_us, int) and isinstance(end_us, int)
        if state == "waiting":
            self._place(replay, start_us)
        wanted = _Range(start_us, end_us, frozenset(json.loads(str(events))),
                        frozenset(json.loads(str(sources))))  # fmt: skip
        places = self._file.connection.execute(
            'SELECT part, next, "end" FROM replay_positions WHERE replay = ?', (replay,)
        ).fetchall()
        feed = Feed(self._reader, self._pipeline, self._route, self._tally, self._clocks.us,
                    ordered=self._ordered, replay=replay, only=wanted,
                    ends={part: end for part, _, end in places})  # fmt: skip
        for part, following, _ in places:
            feed.begin(part, following)
        self._running = _Running(replay, feed)

    def _place(self, replay: int, start_us: int) -> None:
        """Find the range in the journal."""
        places = [
            (replay, part, first, first, self._reader.end(part))
            for part in self._reader.partitions()
            for first in (first_received_since(self._reader, part, start_us),)
        ]
        with self._file.transaction() as connection:
            connection.executemany("INSERT OR REPLACE INTO replay_positions VALUES (?,?,?,?,?)",
                                   places)  # fmt: skip
            connection.execute(
                "UPDATE replays SET state = 'running', started_us = ? WHERE id = ?",
                (self._clocks.us(), replay),
            )
