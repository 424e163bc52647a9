"""Fills new signals from events that were there before them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from penstock import logs
from penstock.events.model import Record
from penstock.journal.contract import EVENTS, Block, Journal
from penstock.profiles.observed import Observed, observe
from penstock.profiles.stream.assigned import Assigned
from penstock.profiles.stream.profile import Profile

__all__ = ["Histories", "Observing"]

log = logs.get("penstock.profiles")
_CHUNK = 4_000
_decode_records = msgspec.msgpack.Decoder(list[Record]).decode
Observing = Callable[[dict[str, Any], Observed], Any]


class _People(Protocol):
    def get(self, number: int) -> Profile: ...

    def touch(self, profile: Profile) -> None: ...


class Histories:
    """What is still to be read for signals that came when events were there already.

    A history ends where the stream stood when the signals came: what is after that, the stream
    itself shows them. How far each is stands in the tables ``histories`` and ``history_parts``,
    written in the transaction that holds what was read.
    """

    def __init__(self, connection: sqlite3.Connection, journal: Journal) -> None:
        self._connection = connection
        self._journal = journal
        self._pending: list[tuple[int, int, int]] = []
        self._finished: list[int] = []

    def begin(self, keys: frozenset[str], positions: Mapping[int, int]) -> None:
        """Note that these signals need history, up to these positions; in a transaction."""
        connection = self._connection
        (number,) = connection.execute(
            "INSERT INTO histories (keys) VALUES (?) RETURNING id", (" ".join(sorted(keys)),)
        ).fetchone()
        for part, end in positions.items():
            start = self._journal.start(EVENTS, part)
            if start < end:
                connection.execute(
                    "INSERT INTO history_parts VALUES (?, ?, ?, ?)", (number, part, start, end)
                )

    def current(self) -> tuple[int, frozenset[str]] | None:
        """The history that is being read, and its signals."""
        row = self._connection.execute(
            "SELECT id, keys FROM histories ORDER BY id LIMIT 1"
        ).fetchone()
        return (row[0], frozenset(row[1].split())) if row else None

    def remaining(self) -> int:
        """Events still to be read, over all histories."""
        (left,) = self._connection.execute(
            'SELECT coalesce(sum("end" - next), 0) FROM history_parts'
        ).fetchone()
        return int(left)

    def read(
        self, number: int, people: _People, canonical: Callable[[int], int], observing: Observing
    ) -> bool:
        """Read on a chunk of a history; True when it is done. ``write`` has to follow."""
        row = self._connection.execute(
            'SELECT part, next, "end" FROM history_parts WHERE history = ? AND next < "end"'
            " ORDER BY part LIMIT 1",
            (number,),
        ).fetchone()
        if row is None:
            self._finished.append(number)
            return True
        part, position, end = row
        reading = self._journal.read(EVENTS, part, position, _CHUNK)
        for gap in reading.gaps:
            log.warning("events are missing in the history of audiences", first=gap.first,
                        end=gap.end, reason=gap.reason)  # fmt: skip
        segments = Assigned(self._connection, part, position, min(reading.next, end))
        for block in reading.blocks:
            self._take_in(block, position, end, segments, people, canonical, observing)
        reached = end if reading.next == position else min(reading.next, end)
        self._pending.append((reached, number, part))
        return False

    @staticmethod
    def _take_in(
        block: Block,
        position: int,
        end: int,
        segments: Assigned,
        people: _People,
        canonical: Callable[[int], int],
        observing: Observing,
    ) -> None:
        try:
            records = _decode_records(block.body)
        except msgspec.MsgspecError as error:
            log.error("events can't be decoded", first=block.first, end=block.end, error=error)
            return
        for place, record in enumerate(records, block.first):
            if not position <= place < end:
                continue
            segment = segments.at(place)
            if not segment:
                continue
            event = observe(record.source, record.received_us, record.payload)  # was read before
            profile = people.get(canonical(segment))
            touched = observing(profile.states[segment].signals, event)
            if touched:
                profile.dirty.add(segment)
                profile.touched.update(touched)
                people.touch(profile)

    def write(self, connection: sqlite3.Connection) -> None:
        """Write how far it is read; in the transaction that writes what was read."""
        connection.executemany(
            "UPDATE history_parts SET next = ? WHERE history = ? AND part = ?", self._pending
        )
        for number in self._finished:
            connection.execute("DELETE FROM history_parts WHERE history = ?", (number,))
            (keys,) = connection.execute(
                "DELETE FROM histories WHERE id = ? RETURNING keys", (number,)
            ).fetchone()
            connection.executemany(
                "UPDATE signals SET ready = 1 WHERE key = ?", [(key,) for key in keys.split()]
            )

    def settle(self) -> None:
        """The transaction is through, or given up."""
        self._pending.clear()
        self._finished.clear()
