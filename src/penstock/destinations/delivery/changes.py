"""What became of events since the last write, and the writing of it in one transaction."""

from __future__ import annotations

import sqlite3
from collections import Counter, deque
from dataclasses import dataclass, field

import msgspec

from penstock.destinations.delivery.positions import packed
from penstock.destinations.sending.outcome import Exchange

__all__ = [
    "RECENT",
    "Bulk",
    "Changes",
    "Example",
    "Letter",
    "Parked",
    "answer_text",
    "request_text",
    "write",
]

RECENT = 100
"""Outcomes at most that are kept of each write for those who watch events."""
_SAMPLES = 10
_RECENT_KEPT = 2_000
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Parked:
    """A delivery that goes into the retry table."""

    part: int
    position: int
    place: int
    action: str
    attempts: int
    due_us: int
    first_us: int
    code: str
    source: str
    hour: int
    person: str
    replay: int


@dataclass(frozen=True)
class Bulk:
    """What dead letters that are kept by position have in common."""

    action: str
    place: int
    kind: str
    code: str
    reason: str
    part: int
    replay: int


@dataclass(frozen=True)
class Letter:
    """A dead letter that is kept with its request and answer."""

    bulk: Bulk
    position: int
    message_id: str
    event: str
    exchange: Exchange | None


@dataclass(frozen=True)
class Example:
    """A sample of an outcome."""

    action: str
    step: str
    code: str
    message_id: str
    event: str
    reason: str
    exchange: Exchange | None


@dataclass
class Changes:
    """Of one destination; everything is added up until it is written."""

    positions: dict[int, tuple[int, int]] = field(default_factory=dict)
    """(started, next) by partition."""
    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """By (action, step, code)."""
    latencies: Counter[int] = field(default_factory=Counter)
    ledger: Counter[tuple[str, int, str]] = field(default_factory=Counter)
    """By (source, hour, column)."""
    parked: list[Parked] = field(default_factory=list)
    again: list[tuple[int, int, int, str, int]] = field(default_factory=list)
    """Rows of the retry table to update: (attempts, due, first failure, code, id)."""
    removed: list[int] = field(default_factory=list)
    """Rows of the retry table that are settled."""
    letters: list[Letter] = field(default_factory=list)
    bulk: dict[Bulk, list[int]] = field(default_factory=dict)
    """Positions."""
    dead: dict[int, list[int]] = field(default_factory=dict)
    """Positions that stay in a dead letter, by its id; none: it is gone."""
    examples: list[Example] = field(default_factory=list)
    recent: deque[tuple[int, int, str, str]] = field(default_factory=lambda: deque(maxlen=RECENT))
    """(partition, position, step, code) of the newest outcomes, for those who watch events."""
    gaps: list[tuple[int, int, int, str]] = field(default_factory=list)
    """(partition, first, end, reason)."""
    replays: Counter[tuple[int, str]] = field(default_factory=Counter)
    """By (replay, column)."""
    replay_positions: dict[tuple[int, int], int] = field(default_factory=dict)
    """Where to go on, by (replay, partition)."""

    def __bool__(self) -> bool:
        return any(
            (self.positions, self.counts, self.parked, self.again, self.removed, self.letters,
             self.bulk, self.dead, self.examples, self.gaps, self.replays, self.replay_positions,
             self.ledger)
        )  # fmt: skip


def write(connection: sqlite3.Connection, slug: str, changes: Changes, now_us: int) -> None:
    """Write all of it; inside the caller's transaction."""
    _write_positions(connection, slug, changes, now_us)
    _write_counts(connection, slug, changes, now_us)
    _write_retries(connection, slug, changes)
    _write_dead(connection, slug, changes, now_us)
    _write_examples(connection, slug, changes.examples, now_us)
    _write_recent(connection, slug, changes)
    for (replay, column), count in changes.replays.items():
        connection.execute(
            f"UPDATE replays SET {column} = {column} + ? WHERE id = ?", (count, replay)
        )


def _write_positions(
    connection: sqlite3.Connection, slug: str, changes: Changes, now_us: int
) -> None:
    connection.executemany(
        "INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?)",
        [(slug, part, *place) for part, place in changes.positions.items()],
    )
    connection.executemany(
        "UPDATE replay_positions SET next = ? WHERE replay = ? AND part = ?",
        [(following, *key) for key, following in changes.replay_positions.items()],
    )
    connection.executemany(
        "INSERT OR REPLACE INTO gaps VALUES (?, ?, ?, ?, ?, ?)",
        [(slug, *gap, now_us) for gap in changes.gaps],
    )


def _write_counts(connection: sqlite3.Connection, slug: str, changes: Changes, now_us: int) -> None:
    connection.executemany(
        "INSERT INTO minutes VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET count = count + excluded.count",
        [(now_us // 60_000_000, slug, *key, count) for key, count in changes.counts.items()],
    )
    connection.executemany(
        "INSERT INTO latencies VALUES (?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET count = count + excluded.count",
        [(now_us // 3_600_000_000, slug, key, count) for key, count in changes.latencies.items()],
    )
    for column in ("more", "delivered", "filtered", "waiting", "dead"):
        connection.executemany(
            f"INSERT INTO ledger (destination, source, hour, {column}) VALUES (?, ?, ?, ?) "
            f"ON CONFLICT DO UPDATE SET {column} = {column} + excluded.{column}",
            [(slug, source, hour, count) for (source, hour, of), count in changes.ledger.items()
             if of == column and count],
        )  # fmt: skip


def _write_retries(connection: sqlite3.Connection, slug: str, changes: Changes) -> None:
    connection.executemany(
        "INSERT OR IGNORE INTO retries (destination, part, position, place, action, attempts, "
        "due_us, first_us, code, source, hour, person, replay) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (slug, one.part, one.position, one.place, one.action, one.attempts, one.due_us,
             one.first_us, one.code, one.source, one.hour, one.person, one.replay)
            for one in changes.parked
        ],
    )  # fmt: skip
    connection.executemany(
        "UPDATE retries SET attempts = ?, due_us = ?, first_us = ?, code = ? WHERE id = ?",
        changes.again,
    )
    connection.executemany("DELETE FROM retries WHERE id = ?", [(row,) for row in changes.removed])


def _write_dead(connection: sqlite3.Connection, slug: str, changes: Changes, now_us: int) -> None:
    for letter, left in changes.dead.items():
        if left:
            connection.execute(
                'UPDATE dead SET positions = ?, count = ?, first = ?, "last" = ? WHERE id = ?',
                (packed(left), len(left), min(left), max(left), letter),
            )
        else:
            connection.execute("DELETE FROM dead WHERE id = ?", (letter,))
    rows = [
        (_common(slug, one.bulk, now_us), one.position, one.position, [one.position],
         one.message_id, one.event, request_text(one.exchange), answer_text(one.exchange))
        for one in changes.letters
    ]  # fmt: skip
    rows += [
        (_common(slug, bulk, now_us), min(places), max(places), places, "", "", None, None)
        for bulk, places in changes.bulk.items()
    ]
    connection.executemany(
        "INSERT INTO dead (destination, action, place, kind, code, reason, part, replay, at_us, "
        'first, "last", positions, count, message_id, event, request, answer) '
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(*common, first, last, packed(places), len(places), *shown)
         for common, first, last, places, *shown in rows],
    )  # fmt: skip


def _common(slug: str, bulk: Bulk, now_us: int) -> tuple[object, ...]:
    return (slug, bulk.action, bulk.place, bulk.kind, bulk.code, bulk.reason, bulk.part,
            bulk.replay, now_us)  # fmt: skip


def _write_examples(
    connection: sqlite3.Connection, slug: str, examples: list[Example], now_us: int
) -> None:
    for one in examples:
        key = (slug, one.action, one.step, one.code)
        connection.execute(
            "INSERT INTO samples (destination, action, step, code, at_us, message_id, event, "
            "reason, request, answer) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*key, now_us, one.message_id, one.event, one.reason, request_text(one.exchange),
             answer_text(one.exchange)),
        )  # fmt: skip
        connection.execute(
            "DELETE FROM samples WHERE destination = ?1 AND action = ?2 AND step = ?3 "
            "AND code = ?4 AND id <= (SELECT id FROM samples WHERE destination = ?1 "
            "AND action = ?2 AND step = ?3 AND code = ?4 ORDER BY id DESC LIMIT 1 OFFSET ?5)",
            (*key, _SAMPLES),
        )


def _write_recent(connection: sqlite3.Connection, slug: str, changes: Changes) -> None:
    if not changes.recent:
        return
    connection.executemany(
        "INSERT INTO recent (destination, part, position, step, code) VALUES (?, ?, ?, ?, ?)",
        [(slug, *one) for one in changes.recent],
    )
    connection.execute(
        "DELETE FROM recent WHERE destination = ?1 AND id <= (SELECT id FROM recent "
        "WHERE destination = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
        (slug, _RECENT_KEPT),
    )


def request_text(exchange: Exchange | None) -> str | None:
    """A request as it is kept: JSON with method, url, headers and body."""
    if exchange is None:
        return None
    told = {"method": exchange.method, "url": exchange.url, "headers": exchange.headers,
            "body": exchange.body}  # fmt: skip
    return _encode(told).decode()


def answer_text(exchange: Exchange | None) -> str | None:
    """An answer as it is kept: JSON with status, headers and body, or the error without one."""
    if exchange is None:
        return None
    told = {"status": exchange.status, "headers": exchange.answer_headers,
            "body": exchange.answer_body, "error": exchange.error,
            "duration": exchange.duration}  # fmt: skip
    return _encode(told).decode()
