"""Events by minute of receipt, source, name and outcome."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from penstock.monitor.store import MonitorStore

__all__ = ["MINUTES_KEPT", "STORED", "Volume", "add_volumes", "fold", "rejected_as", "volumes"]

STORED = "stored"
MINUTES_KEPT = timedelta(days=7)
"""Older minutes are folded into hours: sixty events a minute are then 20 MB in 90 days."""
_SECONDS = {"minute": 60, "hour": 3600, "day": 86400}
_MOST_HOURS = 24
"""Hours folded at a time."""


@dataclass(frozen=True)
class Volume:
    """Events of one name and outcome in a stretch of time."""

    at: datetime
    """Beginning, UTC."""
    span: timedelta
    """An hour at least for what is older than seven days."""
    source: str
    event: str
    outcome: str
    """``stored``, or ``rejected:<code>``."""
    count: int


def rejected_as(code: str) -> str:
    """The outcome of what was refused with a code."""
    return f"rejected:{code}"


def add_volumes(
    connection: sqlite3.Connection, counted: Iterable[tuple[int, int, str, int]]
) -> None:
    """Add (minutes since 1970, event id, outcome, count); inside the caller's transaction."""
    connection.executemany(
        "INSERT INTO minutes VALUES (?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET count = count + excluded.count",
        counted,
    )


def fold(connection: sqlite3.Connection, now: datetime, keep: timedelta) -> None:
    """Make hours of old minutes, a day of them at most, and drop hours that are too old."""
    connection.execute("DELETE FROM hours WHERE hour < ?", (_hour(now - keep),))
    (oldest,) = connection.execute("SELECT min(minute) FROM minutes").fetchone()
    end = _hour(now - min(MINUTES_KEPT, keep))
    if oldest is None or oldest >= end * 60:
        return
    limit = min(end, oldest // 60 + _MOST_HOURS) * 60
    connection.execute(
        "INSERT INTO hours SELECT minute / 60, event, outcome, sum(count) FROM minutes "
        "WHERE minute < ? GROUP BY 1, 2, 3 "
        "ON CONFLICT DO UPDATE SET count = count + excluded.count",
        (limit,),
    )
    connection.execute("DELETE FROM minutes WHERE minute < ?", (limit,))


def _hour(moment: datetime) -> int:
    return int(moment.timestamp()) // 3600


def volumes(
    store: MonitorStore,
    *,
    start: datetime,
    end: datetime,
    source: str | None = None,
    event: str | None = None,
    by: Literal["minute", "hour", "day"] = "minute",
) -> list[Volume]:
    """What was received from ``start`` to before ``end``, by time, source, name and outcome.

    A minute, or an hour folded from old ones, that begins before ``start`` is left out. Where there
    is no row, nothing was received.
    """
    step = _SECONDS[by]
    begin, stop = start.timestamp(), end.timestamp()
    rows = store.connection.execute(
        "SELECT (v.second / v.step) * v.step AS at, v.step, e.source, e.event, v.outcome, "
        "sum(v.count) FROM ("
        "SELECT minute * 60 AS second, ? AS step, event, outcome, count FROM minutes "
        "WHERE minute >= ? AND minute < ? UNION ALL "
        "SELECT hour * 3600, ?, event, outcome, count FROM hours WHERE hour >= ? AND hour < ?"
        ") AS v JOIN events AS e ON e.id = v.event "
        "WHERE (? IS NULL OR e.source = ?) AND (? IS NULL OR e.event = ?) "
        "GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 3, 4, 5",
        (step, _up(begin, 60), _up(stop, 60), max(step, 3600), _up(begin, 3600), _up(stop, 3600),
         source, source, event, event),
    )  # fmt: skip
    return [
        Volume(datetime.fromtimestamp(at, UTC), timedelta(seconds=span), *rest)
        for at, span, *rest in rows
    ]


def _up(seconds: float, step: int) -> int:
    """The number of the first stretch that does not begin before."""
    return math.ceil(seconds / step)
