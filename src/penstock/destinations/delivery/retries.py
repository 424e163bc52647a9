"""Works through the retry table of a destination, and moves dead letters into it on request."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from penstock.destinations.contract import Action, Call, Steps
from penstock.destinations.delivery.changes import Bulk
from penstock.destinations.delivery.feed import Router
from penstock.destinations.delivery.pipeline import Pipeline
from penstock.destinations.delivery.positions import unpacked
from penstock.destinations.delivery.reading import SharedReader
from penstock.destinations.delivery.records import DISCARDED, EXPIRED, FAILED, FILTERED
from penstock.destinations.delivery.tally import Tally
from penstock.destinations.delivery.unit import Delivery, Event, plan
from penstock.destinations.routed import (
    FUNCTION,
    NO_MAPPING,
    Mapped,
    NotYet,
    Planned,
    Routed,
    Unsendable,
)
from penstock.destinations.sending.outcome import Outcome
from penstock.events.counts import HOUR_US
from penstock.events.model import Record

__all__ = ["Retries", "behind_by_person", "rows_of"]

_AT_ONCE = 200
"""Retries in memory at most."""
_MOVED = 2_000
"""Dead letters moved at a time."""
_LONGEST_WAIT_US = 2 * 3600 * 1_000_000
"""No due time is further away than this, unless the clock was set back."""
_GONE = "the journal no longer has the event"


@dataclass(frozen=True)
class _Row:
    id: int
    part: int
    position: int
    place: int
    action: str
    attempts: int
    first_us: int
    replay: int
    source: str
    hour: int
    person: str


def rows_of(connection: sqlite3.Connection, slug: str) -> int:
    """How many deliveries of a destination are in the retry table."""
    (count,) = connection.execute(
        "SELECT count(*) FROM retries WHERE destination = ?", (slug,)
    ).fetchone()
    return int(count)


def behind_by_person(connection: sqlite3.Connection, slug: str) -> Counter[str]:
    """Deliveries in the retry table by person, where order is kept."""
    return Counter(
        dict(
            connection.execute(
                "SELECT person, count(*) FROM retries WHERE destination = ? AND person <> '' "
                "GROUP BY person",
                (slug,),
            )
        )
    )


class Retries:
    """The owner of deliveries that are in the retry table.

    Payloads are made again from the journal by the mappings as they are now: by the one of the same
    place and action, else by the first of that action that matches.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        reader: SharedReader,
        pipeline: Pipeline,
        route: Router,
        tally: Tally,
        clock: Callable[[], int],
        *,
        ordered: bool,
        live: bool,
    ) -> None:
        """``live``: whether the destination is enabled; else only replays are retried."""
        self._connection = connection
        self._reader = reader
        self._pipeline = pipeline
        self._route = route
        self._tally = tally
        self._clock = clock
        self._ordered = ordered
        self._live = live
        self._busy: set[int] = set()
        """Rows in memory, or settled and not written yet."""
        self._left: set[int] = set()
        self.count = rows_of(connection, pipeline.slug)
        """Rows of the table, as of the last write."""

    def advance(self) -> int:
        """Take up what is due; returns how many. While the tool is down, one, to probe with."""
        if not self.count or (self._pipeline.is_broken and self._pipeline.pending):
            return 0
        most = 1 if self._pipeline.is_broken else _AT_ONCE - len(self._busy)
        room = min(most, self._pipeline.room())
        if room <= 0:
            return 0
        now_us = self._clock()
        rows = self._connection.execute(
            "SELECT id, part, position, place, action, attempts, first_us, replay, source, hour, "
            "person FROM retries AS r WHERE destination = ? AND (due_us <= ? OR due_us > ?) "
            f"{'' if self._live else 'AND replay > 0 '}"
            f"{_FIRST_OF_A_PERSON if self._ordered else ''} ORDER BY due_us LIMIT ?",
            (self._pipeline.slug, now_us, now_us + _LONGEST_WAIT_US, room + len(self._busy)),
        ).fetchall()
        found = [row for each in rows if (row := _Row(*each)).id not in self._busy][:room]
        waits = 0
        for row in sorted(found, key=lambda one: (one.part, one.position, one.place)):
            self._busy.add(row.id)
            try:
                self._retry(row)
            except NotYet as wait:
                self._busy.discard(row.id)
                wait.then(self._pipeline.wake.set)
                waits += 1
        return len(found) - waits

    def _retry(self, row: _Row) -> None:
        found = self._reader.at(row.part, row.position)
        if found is None or found.block is None:
            self._settle_unread(row)
            return
        record = found.block.record(row.position)
        event = found.block.event(row.position)
        if row.replay:
            event = self._route.replayed(event)
        routed = self._route(event, record.source)
        if row.action == FUNCTION.action.slug and _spreads(routed):
            self._spread(row, record, event, routed)
            return
        unit = _unit(routed, row)
        known = unit is not None and unit.mapped is not FUNCTION
        mapped = unit.mapped if unit is not None and known else _named(row.action)
        delivery = plan(self, row.part, row.position, record, event, row.place, mapped,
                        ordered=self._ordered, replay=row.replay)  # fmt: skip
        delivery.row, delivery.attempts = row.id, row.attempts
        delivery.first_us = min(row.first_us, self._clock())
        delivery.person = row.person
        if isinstance(unit, Planned):
            delivery.payload = unit.payload
            self._pipeline.submit(delivery)
            return
        if unit is None:
            outcome, step = Outcome(0, routed.reason or NO_MAPPING, "the setup changed"), FILTERED
        elif unit.later:
            self._pipeline.postpone(delivery, Outcome(0, unit.code, unit.reason, True))
            return
        else:
            outcome = Outcome(400, unit.code, unit.reason)
            step = FILTERED if unit.skipped else DISCARDED
        self._over(delivery, step, outcome)

    def _spread(self, row: _Row, record: Record, event: Event, routed: Routed) -> None:
        """The functions let it pass now: a row for each of its mappings in the stead of one."""
        units: list[Planned | Unsendable] = [*routed.planned, *routed.unsendable]
        changes = self._tally.changes
        for unit in units:
            delivery = plan(self, row.part, row.position, record, event, unit.place, unit.mapped,
                            ordered=self._ordered, replay=row.replay)  # fmt: skip
            self._pipeline.park_behind(delivery)
            self._tally.parked(delivery, self._clock())
        changes.removed.append(row.id)
        self._left.add(row.id)
        self._pipeline.unpark(plan(self, row.part, row.position, record, event, row.place,
                                   FUNCTION, ordered=self._ordered, replay=row.replay))  # fmt: skip
        if row.replay:
            changes.replays[row.replay, "waiting"] -= 1
        else:
            changes.ledger[row.source, row.hour, "waiting"] -= 1
            self._tally.more(row.source, row.hour * HOUR_US, len(units) - 1)

    def _settle_unread(self, row: _Row) -> None:
        delivery = Delivery(self, row.part, row.position, row.place, _named(row.action), {},
                            row.source, row.hour * HOUR_US, "", "", row.person, row=row.id,
                            replay=row.replay)  # fmt: skip
        self._over(delivery, FAILED, Outcome(0, EXPIRED.upper(), _GONE))

    def _over(self, delivery: Delivery, step: str, outcome: Outcome) -> None:
        """Settled without the pipeline, which keeps the order."""
        self._pipeline.unpark(delivery)
        self.settled(delivery, step, outcome)

    def settled(self, delivery: Delivery, step: str, outcome: Outcome) -> None:
        """See ``unit.Owner``."""
        self._tally.settled(delivery, step, outcome)
        self._left.add(delivery.row)

    def parked(self, delivery: Delivery, due_us: int) -> None:
        """See ``unit.Owner``."""
        self._tally.parked(delivery, due_us)
        self._left.add(delivery.row)

    def written(self) -> None:
        """What was gathered stands in the file: rows may be read from it again."""
        self._busy -= self._left
        self._left.clear()
        self.count = rows_of(self._connection, self._pipeline.slug)

    # Dead letters ---------------------------------------------------------------------------

    def revive(self, room: int) -> int:
        """Move dead letters whose retry was asked for into the table; returns how many.

        Call it only when all that was gathered before is written.
        """
        if not self._live or room <= 0:
            return 0
        rows = self._connection.execute(
            "SELECT id, part, place, action, replay, positions FROM dead "
            "WHERE destination = ? AND retry = 1 ORDER BY id LIMIT 50",
            (self._pipeline.slug,),
        ).fetchall()
        moved = 0
        for letter, part, place, action, replay, raw in rows:
            positions = unpacked(raw)
            taken = positions[: min(room, _MOVED) - moved]
            if not taken:
                break
            moved += len(taken)
            self._tally.changes.dead[letter] = positions[len(taken) :]
            for position in taken:
                self._revive(part, position, place, action, replay)
        return moved

    def _revive(self, part: int, position: int, place: int, action: str, replay: int) -> None:
        found = self._reader.at(part, position)
        if found is None or found.block is None:
            bulk = Bulk(action, place, FAILED, EXPIRED.upper(), _GONE, part, replay)
            self._tally.changes.bulk.setdefault(bulk, []).append(position)
            return
        record = found.block.record(position)
        event = found.block.event(position)
        delivery = plan(self, part, position, record, event, place, _named(action),
                        ordered=self._ordered, replay=replay)  # fmt: skip
        self._pipeline.park_behind(delivery)
        self._tally.parked(delivery, self._clock())
        if replay:
            self._tally.changes.replays[replay, "dead"] -= 1
        else:
            self._tally.changes.ledger[record.source, record.received_us // HOUR_US, "dead"] -= 1


_FIRST_OF_A_PERSON = (
    "AND NOT EXISTS (SELECT 1 FROM retries AS e WHERE e.destination = r.destination "
    "AND e.person = r.person AND e.person <> '' AND (e.part, e.position, e.place) "
    "< (r.part, r.position, r.place))"
)


def _spreads(routed: Routed) -> bool:
    """Whether its mappings are known."""
    units: list[Planned | Unsendable] = [*routed.planned, *routed.unsendable]
    return any(unit.mapped is not FUNCTION for unit in units)


def _unit(routed: Routed, row: _Row) -> Planned | Unsendable | None:
    """What is to be delivered in a row's stead, by the mappings as they are now."""
    both: list[Planned | Unsendable] = [*routed.planned, *routed.unsendable]
    units = [unit for unit in both
             if unit.mapped.action.slug == row.action or unit.mapped is FUNCTION]  # fmt: skip
    same = (unit for unit in units if unit.place == row.place)
    return next(same, units[0] if units else None)


def _named(action: str) -> Mapped:
    """Stands for a mapping that is not there any more."""
    return Mapped(0, Action(action, action, _nothing), "", None, bool, dict)


def _nothing(_: Call) -> Steps:
    """Builds no request; what stands for a mapping that is gone is never sent."""
    yield from ()
    return None
