"""Keeps the file of deliveries in bounds, and lets go of destinations that are gone."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from datetime import timedelta

from penstock.destinations.delivery.positions import packed
from penstock.destinations.delivery.records import FAILED

__all__ = ["REMOVED", "release", "tidy"]

REMOVED = "DESTINATION_REMOVED"
_MINUTES_KEPT_S = 7 * 86_400
_HOUR_US = 3_600_000_000
_REPLAYS_KEPT = 200


def release(
    connection: sqlite3.Connection, enabled: Collection[str], known: Collection[str], now_us: int
) -> list[str]:
    """Forget the places of destinations that are not enabled; returns their slugs.

    What waits to be tried again is kept for one that is disabled, and becomes dead letters of one
    that is gone. Inside the caller's transaction.
    """
    run = connection.execute
    slugs = {slug for (slug,) in run("SELECT DISTINCT destination FROM positions")}
    waiting = {slug for (slug,) in run("SELECT DISTINCT destination FROM retries")}
    for slug in waiting - set(known):
        _bury(connection, slug, now_us)
    left = sorted(slugs - set(enabled))
    for slug in left:
        run("DELETE FROM positions WHERE destination = ?", (slug,))
        reason = "it is disabled" if slug in known else "it was removed"
        run("UPDATE states SET state = 'stopped', reason = ?, behind = 0, broken_us = 0 "
            "WHERE destination = ?", (reason, slug))  # fmt: skip
    return left


def _bury(connection: sqlite3.Connection, slug: str, now_us: int) -> None:
    groups: dict[tuple[str, int, int, int], list[int]] = {}
    for action, place, part, replay, position in connection.execute(
        "DELETE FROM retries WHERE destination = ? RETURNING action, place, part, replay, position",
        (slug,),
    ).fetchall():
        groups.setdefault((action, place, part, replay), []).append(position)
    for (action, place, part, replay), positions in groups.items():
        connection.execute(
            "INSERT INTO dead (destination, action, place, kind, code, reason, at_us, part, count, "
            'first, "last", positions, replay) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
            (slug, action, place, FAILED, REMOVED, "the destination was removed", now_us, part,
             len(positions), min(positions), max(positions), packed(positions), replay),
        )  # fmt: skip
    connection.execute(
        "UPDATE ledger SET dead = dead + waiting, waiting = 0 WHERE destination = ?", (slug,)
    )
    connection.execute(
        "UPDATE replays SET dead = dead + waiting, waiting = 0 WHERE destination = ?", (slug,)
    )


def tidy(
    connection: sqlite3.Connection, now_us: int, keep: timedelta, starts: Mapping[int, int]
) -> None:
    """Fold old minutes into hours, drop what is too old; inside the caller's transaction.

    ``starts``: where the journal begins, by partition; dead letters from before can't be retried
    and go.
    """
    run = connection.execute
    oldest_us = now_us - int(keep.total_seconds()) * 1_000_000
    run("DELETE FROM latencies WHERE hour < ?", (oldest_us // _HOUR_US,))
    limit = (now_us // 1_000_000 - _MINUTES_KEPT_S) // 3600 * 60
    run(
        "INSERT INTO hours SELECT minute / 60, destination, action, step, code, sum(count) "
        "FROM minutes WHERE minute < ? GROUP BY 1, 2, 3, 4, 5 "
        "ON CONFLICT DO UPDATE SET count = count + excluded.count",
        (limit,),
    )
    run("DELETE FROM minutes WHERE minute < ?", (limit,))
    run("DELETE FROM hours WHERE hour < ?", (oldest_us // _HOUR_US,))
    run("DELETE FROM ledger WHERE hour < ? AND waiting = 0", (oldest_us // _HOUR_US,))
    run("DELETE FROM gaps WHERE at_us < ?", (oldest_us,))
    run("DELETE FROM samples WHERE at_us < ?", (oldest_us,))
    for part, start in starts.items():
        run('DELETE FROM dead WHERE part = ? AND "last" < ?', (part, start))
    run("DELETE FROM replays WHERE state IN ('done', 'cancelled', 'failed') AND id <= "
        "(SELECT max(id) - ? FROM replays)", (_REPLAYS_KEPT,))  # fmt: skip
    run("DELETE FROM replay_positions WHERE replay NOT IN (SELECT id FROM replays)")
