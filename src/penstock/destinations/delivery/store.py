"""What is known of deliveries, and what may be asked for: for commands, the API and the monitor.

Only the deliver role writes outcomes. What is asked for here (retries, replays) is done by it
within a second or so while it runs, or as soon as it does.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from penstock.destinations.delivery.file import DeliveryFile
from penstock.destinations.delivery.latency import seconds_at
from penstock.destinations.delivery.records import (
    Count,
    DeadLetter,
    Gone,
    LedgerSum,
    Overview,
    ReplayState,
    Sample,
)
from penstock.errors import ConfigurationError

__all__ = ["DeliveryStore"]

_STEPS = {"minute": 60, "hour": 3600, "day": 86400}
_ALL_TIME_S = 1 << 40
_LATELY = timedelta(hours=24)


def _now_us() -> int:
    return time.time_ns() // 1000


class DeliveryStore:
    """Read functions and commands on ``deliveries.sqlite``. Safe in several processes.

    Every method raises DeliveryError when the file can't be used.
    """

    def __init__(
        self, file: Path, *, mend: bool = False, clock: Callable[[], int] = _now_us
    ) -> None:
        self._file = DeliveryFile(file, mend=mend)
        self._clock = clock

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    # Figures --------------------------------------------------------------------------------

    def overview(self, destination: str | None = None) -> list[Overview]:
        """Each destination that was ever delivered to, by slug."""
        now = _moment(self._clock())
        totals: dict[str, dict[str, int]] = {}
        for one in self.counts(destination, now - _LATELY, now + _LATELY, by="total"):
            steps = totals.setdefault(one.destination, {})
            steps[one.step] = steps.get(one.step, 0) + one.count
        states = {row[0]: row[1:] for row in self._rows(
            "SELECT destination, state, reason, behind, broken_us FROM states")}  # fmt: skip
        waiting = self._by_destination("SELECT destination, count(*) FROM retries GROUP BY 1")
        dead = self._by_destination("SELECT destination, sum(count) FROM dead GROUP BY 1")
        slugs = {*totals, *states, *waiting, *dead}
        found = []
        for slug in sorted(slugs if destination is None else slugs & {destination}):
            state, reason, behind, broken_us = states.get(slug, ("stopped", "not started", 0, 0))
            steps = totals.get(slug, {})
            found.append(
                Overview(
                    slug,
                    state,
                    reason,
                    delivered=steps.get("delivered", 0),
                    filtered=steps.get("filtered", 0),
                    retried=steps.get("retried", 0),
                    failed=steps.get("failed", 0),
                    discarded=steps.get("discarded", 0),
                    waiting=waiting.get(slug, 0),
                    dead=dead.get(slug, 0),
                    behind=behind,
                    p95_seconds=self.latency(slug, now - _LATELY, now + _LATELY),
                    broken_since=_moment(broken_us) if broken_us else None,
                )
            )
        return found

    def counts(
        self,
        destination: str | None,
        start: datetime,
        end: datetime,
        by: Literal["minute", "hour", "day", "total"] = "minute",
    ) -> list[Count]:
        """Outcomes from ``start`` to before ``end``, oldest first; replays are not in them.

        ``total`` adds up the whole range; its ``at`` is ``start``.
        """
        step = _STEPS.get(by, _ALL_TIME_S)
        begin, stop = start.timestamp(), end.timestamp()
        rows = self._rows(
            "SELECT (second / ?) * ?, destination, action, step, code, sum(count) FROM ("
            "SELECT minute * 60 AS second, * FROM minutes WHERE minute >= ? AND minute < ? "
            "UNION ALL SELECT hour * 3600, * FROM hours WHERE hour >= ? AND hour < ?) "
            "WHERE (? IS NULL OR destination = ?) GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5",
            (step, step, _up(begin, 60), _up(stop, 60), _up(begin, 3600), _up(stop, 3600),
             destination, destination),
        )  # fmt: skip
        total = by == "total"
        return [
            Count(start if total else datetime.fromtimestamp(at, UTC), *rest) for at, *rest in rows
        ]

    def latency(self, destination: str, start: datetime, end: datetime) -> float | None:
        """P95 from receipt to answer, seconds, of the hours that begin in the range."""
        rows = self._rows(
            "SELECT bucket, sum(count) FROM latencies WHERE destination = ? AND hour >= ? "
            "AND hour < ? GROUP BY bucket ORDER BY bucket",
            (destination, int(start.timestamp()) // 3600, _up(end.timestamp(), 3600)),
        )
        left = 0.95 * sum(count for _, count in rows)
        for bucket, count in rows:
            left -= count
            if left <= 0:
                return seconds_at(bucket)
        return None

    def samples(self, destination: str, limit: int = 10) -> list[Sample]:
        """Examples of each action, step and code: the newest ``limit`` of each."""
        rows = self._rows(
            "SELECT destination, action, step, code, at_us, message_id, event, reason, request, "
            "answer FROM (SELECT *, row_number() OVER (PARTITION BY action, step, code "
            "ORDER BY id DESC) AS n FROM samples WHERE destination = ?) WHERE n <= ? "
            "ORDER BY action, step, code, n",
            (destination, limit),
        )
        return [Sample(*(*row[:4], _moment(row[4]), *row[5:])) for row in rows]

    def fates(
        self, places: Iterable[tuple[int, int]]
    ) -> dict[tuple[int, int], dict[str, tuple[str, str]]]:
        """What lately became of events: (step, code) by destination, by (partition, position).

        Of a destination that gets many events only some are known, the newest.
        """
        found: dict[tuple[int, int], dict[str, tuple[str, str]]] = {}
        with self._file.reading() as connection:
            for place in places:
                rows = connection.execute(
                    "SELECT destination, step, code FROM recent WHERE part = ? AND position = ? "
                    "ORDER BY id",
                    place,
                )
                told = {slug: (step, code) for slug, step, code in rows}
                if told:
                    found[place] = told
        return found

    # Dead letters ---------------------------------------------------------------------------

    def dead_letters(
        self,
        destination: str | None = None,
        limit: int = 100,
        before: int | None = None,
        reason: str | None = None,
    ) -> list[DeadLetter]:
        """Dead letters, newest first; ``before`` is the id of the last one of the page before.

        ``reason`` is a code, such as ``400``.
        """
        rows = self._rows(
            "SELECT id, destination, action, kind, code, reason, count, at_us, retry, message_id, "
            "event, request, answer, replay FROM dead WHERE (?1 IS NULL OR destination = ?1) "
            "AND (?2 IS NULL OR id < ?2) AND (?3 IS NULL OR code = ?3) ORDER BY id DESC LIMIT ?4",
            (destination, before, reason, limit),
        )
        return [
            DeadLetter(*(*row[:7], _moment(row[7]), bool(row[8]), *row[9:13], row[13] or None))
            for row in rows
        ]

    def retry_dead(self, destination: str, ids: Sequence[int] | None = None) -> int:
        """Send dead letters again; all of the destination's without ``ids``. Returns the events.

        They leave the dead letters for the retry table as there is room there.
        """
        with self._file.transaction() as connection:
            return sum(
                row[0]
                for some in _slices(ids)
                for row in connection.execute(
                    "UPDATE dead SET retry = 1 WHERE destination = ? AND retry = 0 "
                    f"{_among(some)} RETURNING count",
                    (destination, *(some or ())),
                ).fetchall()
            )

    def discard_dead(self, destination: str, ids: Sequence[int] | None = None) -> int:
        """Forget dead letters; all of the destination's without ``ids``. Returns the events.

        In the ledger they stay dead.
        """
        with self._file.transaction() as connection:
            return sum(
                row[0]
                for some in _slices(ids)
                for row in connection.execute(
                    f"DELETE FROM dead WHERE destination = ? {_among(some)} RETURNING count",
                    (destination, *(some or ())),
                ).fetchall()
            )

    # Replays --------------------------------------------------------------------------------

    def request_replay(
        self,
        destination: str,
        start: datetime,
        end: datetime,
        events: Sequence[str] = (),
        sources: Sequence[str] = (),
    ) -> int:
        """Send again what was received from ``start`` to before ``end``; returns the replay's id.

        ``events`` are names, or calls such as ``$identify``; none are all. Only what is in the
        journal at this moment is replayed. Raises ConfigurationError for an empty range.
        """
        if start >= end:
            raise ConfigurationError("the replay's end must be after its start")
        with self._file.transaction() as connection:
            made = connection.execute(
                "INSERT INTO replays (destination, start_us, end_us, events, sources, state, "
                "reason, requested_us) VALUES (?, ?, ?, ?, ?, 'waiting', '', ?)",
                (destination, _us(start), _us(end), json.dumps([*events]), json.dumps([*sources]),
                 self._clock()),
            )  # fmt: skip
            return int(made.lastrowid or 0)

    def replays(self, destination: str | None = None) -> list[ReplayState]:
        """Replays, newest first."""
        rows = self._rows(
            "SELECT id, destination, start_us, end_us, events, sources, state, reason, "
            "requested_us, finished_us, "
            '(SELECT sum(next - first) * 1.0 / max(sum("end" - first), 1) FROM replay_positions '
            "WHERE replay = id), selected, delivered, filtered, waiting, dead FROM replays "
            "WHERE (?1 IS NULL OR destination = ?1) ORDER BY id DESC",
            (destination,),
        )
        return [_replay(row) for row in rows]

    def cancel_replay(self, replay: int) -> bool:
        """Stop a replay; what waits for another attempt is tried no more. False when it ended."""
        with self._file.transaction() as connection:
            done = connection.execute(
                "UPDATE replays SET state = 'cancelled', finished_us = ? WHERE id = ? "
                "AND state IN ('waiting', 'running')",
                (self._clock(), replay),
            ).rowcount
            return bool(done)

    # For the engine and the monitor ---------------------------------------------------------

    def has_work(self) -> bool:
        """Whether there is something to do or to tidy up even without an enabled destination."""
        return bool(
            self._rows(
                "SELECT 1 FROM positions UNION ALL "
                "SELECT 1 FROM replays WHERE state IN ('waiting', 'running') LIMIT 1"
            )
        )

    def ledger(
        self, since_hour: int
    ) -> tuple[dict[tuple[str, int], tuple[int, int]], list[LedgerSum], list[Gone]]:
        """Of one moment: (started, next) by (destination, partition), outcomes, and gaps.

        The outcomes are of what lies before ``next``, and after where the destination began.
        """
        with self._file.reading() as connection:
            run = connection.execute
            places = {(d, part): (started, following) for d, part, started, following in
                      run("SELECT destination, part, started, next FROM positions")}  # fmt: skip
            sums = [LedgerSum(*row) for row in run(
                "SELECT destination, source, hour, more, delivered, filtered, waiting, dead "
                "FROM ledger WHERE hour >= ?", (since_hour,))]  # fmt: skip
            gaps = [
                Gone(*(*row[:5], _moment(row[5])))
                for row in run('SELECT destination, part, first, "end", reason, at_us FROM gaps')
            ]
        return places, sums, gaps

    def _rows(self, query: str, values: Iterable[Any] = ()) -> list[Any]:
        with self._file.reading() as connection:
            return connection.execute(query, tuple(values)).fetchall()

    def _by_destination(self, query: str) -> dict[str, int]:
        return dict(self._rows(query))


def _slices(ids: Sequence[int] | None) -> Iterable[Sequence[int] | None]:
    """At most so many as SQLite takes in one statement."""
    if ids is None:
        return (None,)
    return [ids[begin : begin + 500] for begin in range(0, len(ids), 500)]


def _among(ids: Sequence[int] | None) -> str:
    return "" if ids is None else f"AND id IN ({','.join('?' * len(ids))})"


def _up(seconds: float, step: int) -> int:
    """The number of the first stretch that does not begin before."""
    return math.ceil(seconds / step)


def _us(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)


def _moment(us: int) -> datetime:
    return datetime.fromtimestamp(us / 1_000_000, UTC)


def _replay(row: Sequence[Any]) -> ReplayState:
    replay, slug, start_us, end_us, events, sources, state, reason, asked_us, over_us = row[:10]
    progress, *counts = row[10:]
    return ReplayState(
        replay,
        slug,
        _moment(start_us),
        _moment(end_us),
        json.loads(events),
        json.loads(sources),
        state,
        reason,
        _moment(asked_us),
        _moment(over_us) if over_us else None,
        1.0 if state == "done" else float(progress or 0.0),
        *counts,
    )
