"""What an administrator may ask of the graph: why it is so, and to have it otherwise."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Literal

import msgspec

from penstock.errors import ConfigurationError, NotFound
from penstock.profiles.identity.graph import IdentityGraph

__all__ = ["Apart", "Happening", "delete_external_id", "history", "lift_barrier", "unmerge"]

_TREE = (
    "WITH RECURSIVE tree (id) AS (SELECT ? UNION"
    " SELECT loser FROM merges JOIN tree ON survivor = tree.id WHERE undone_us IS NULL)"
    " SELECT id FROM tree"
)


class Happening(msgspec.Struct, frozen=True):
    """One thing that made a profile what it is."""

    kind: Literal["created", "attached", "removed", "merged", "unmerged", "left out"]
    at_us: int
    """By the timestamp of the event, or when an administrator did it."""
    segment: str
    """Public id of the segment that it happened to."""
    type: str = ""
    value: str = ""
    """The external id: attached, left out, or the one through which a merge came about."""
    other: str = ""
    """Public id of the profile that was merged in."""
    reason: str = ""
    """Of an id that was left out: limit, cap, barred or blocked."""
    message_id: str = ""
    source: str = ""
    event_type: str = ""
    merge: int | None = None
    """Number of the merge; ``unmerge`` takes it."""
    by: str = ""
    count: int = 1


class Apart(msgspec.Struct, frozen=True):
    """Two profiles that were one."""

    profile: int
    """The one that keeps the number."""
    apart: int
    """The one that is a profile of its own again."""


def unmerge(graph: IdentityGraph, number: int, by: str, now_us: int) -> Apart:
    """Undo a merge, inside a transaction of the caller's.

    What was merged into the loser before comes apart with it. Ids and events stay with the
    segments that they came to; what came after the merge came to the survivor. The two are barred
    from being merged again until ``lift_barrier``. Raises NotFound.
    """
    connection = graph.connection
    row = connection.execute(
        "SELECT loser, survivor FROM merges WHERE id = ? AND undone_us IS NULL", (number,)
    ).fetchone()
    if row is None:
        raise NotFound(f"no merge {number}, or it was undone before")
    loser, survivor = row
    profile = graph.canonical(loser)
    connection.execute(
        "UPDATE merges SET undone_us = ?, undone_by = ? WHERE id = ?", (now_us, by, number)
    )
    connection.execute(
        "INSERT OR IGNORE INTO barriers VALUES (?, ?, ?, ?)",
        (min(loser, survivor), max(loser, survivor), now_us, by),
    )
    _settle(connection, loser)
    _settle(connection, profile)
    graph.discard()
    return Apart(profile, loser)


def _settle(connection: sqlite3.Connection, profile: int) -> None:
    """Write down which segments are of a profile, by the merges that are not undone."""
    segments = [number for (number,) in connection.execute(_TREE, (profile,))]
    connection.executemany(
        "UPDATE segments SET profile = ? WHERE id = ?", [(profile, one) for one in segments]
    )
    connection.execute("UPDATE segments SET merges = ? WHERE id = ?", (len(segments) - 1, profile))


def lift_barrier(graph: IdentityGraph, first: int, second: int) -> None:
    """Let two segments be of one person again; the next event that joins them merges them.

    Raises NotFound.
    """
    low, high = sorted((graph.canonical(first), graph.canonical(second)))
    found = [
        (one, other)
        for one, other in graph.barriers
        if sorted((graph.canonical(one), graph.canonical(other))) == [low, high]
    ]
    if not found:
        raise NotFound("nothing keeps these two apart")
    graph.connection.executemany("DELETE FROM barriers WHERE first = ? AND second = ?", found)
    graph.discard()


def delete_external_id(
    graph: IdentityGraph, profile: int, kind: str, value: str, now_us: int
) -> None:
    """Take an id from a profile; its traits, events and merges stay.

    Raises NotFound when the profile has no such id, ConfigurationError for one that can't be
    taken: the last user_id, or a group_id.
    """
    if kind == "group_id":
        raise ConfigurationError("a group_id can't be deleted")
    ids = graph.ids_of(profile)
    if not any((one.type, one.value) == (kind, value) for one in ids):
        raise NotFound(f"the profile has no {kind} {value}")
    if kind == "user_id" and sum(one.type == "user_id" for one in ids) == 1:
        raise ConfigurationError("the last user_id of a profile can't be deleted")
    graph.connection.execute(
        "UPDATE ids SET removed_us = ? WHERE type = ? AND value = ? AND removed_us IS NULL",
        (now_us, kind, value),
    )
    graph.discard()


def history(connection: sqlite3.Connection, profile: int) -> list[Happening]:
    """How a profile came about: every id, merge and id left out, by time."""
    every = [number for (number,) in connection.execute(_TREE, (profile,))]
    marks = ",".join("?" * len(every))
    names = dict(
        connection.execute(f"SELECT id, public_id FROM segments WHERE id IN ({marks})", every)
    )
    found = [
        *_created(connection, marks, every),
        *_attached(connection, marks, every, names),
        *_merged(connection, marks, every, names),
        *_left_out(connection, marks, every, names),
    ]
    return sorted(found, key=lambda one: one.at_us)


def _created(connection: sqlite3.Connection, marks: str, every: list[int]) -> Iterable[Happening]:
    query = (
        "SELECT public_id, created_us, message_id, source, event_type FROM segments"
        f" WHERE id IN ({marks})"
    )
    for public, at_us, message, source, kind in connection.execute(query, every):
        yield Happening("created", at_us, public, message_id=message, source=source,
                        event_type=kind)  # fmt: skip


def _attached(
    connection: sqlite3.Connection, marks: str, every: list[int], names: dict[int, str]
) -> Iterable[Happening]:
    query = (
        "SELECT segment, type, original, attached_us, message_id, source, event_type, removed_us"
        f" FROM ids WHERE segment IN ({marks})"
    )
    for segment, kind, value, at_us, message, source, event, removed in connection.execute(
        query, every
    ):
        yield Happening("attached", at_us, names[segment], kind, value, message_id=message,
                        source=source, event_type=event)  # fmt: skip
        if removed is not None:
            yield Happening("removed", removed, names[segment], kind, value)


def _merged(
    connection: sqlite3.Connection, marks: str, every: list[int], names: dict[int, str]
) -> Iterable[Happening]:
    query = (
        "SELECT m.id, survivor, s.public_id, at_us, type, value, m.message_id, m.source,"
        " m.event_type, undone_us, undone_by FROM merges m JOIN segments s ON s.id = m.loser"
        f" WHERE survivor IN ({marks})"
    )
    for row in connection.execute(query, every):
        number, survivor, other, at_us, kind, value, message, source, event, undone, by = row
        yield Happening("merged", at_us, names[survivor], kind, value, other, "", message, source,
                        event, number)  # fmt: skip
        if undone is not None:
            yield Happening("unmerged", undone, names[survivor], other=other, merge=number, by=by)


def _left_out(
    connection: sqlite3.Connection, marks: str, every: list[int], names: dict[int, str]
) -> Iterable[Happening]:
    query = (
        "SELECT segment, type, value, reason, count, last_us, message_id FROM drops"
        f" WHERE segment IN ({marks})"
    )
    for segment, kind, value, reason, count, at_us, message in connection.execute(query, every):
        yield Happening("left out", at_us, names[segment], kind, value, reason=reason,
                        message_id=message, count=count)  # fmt: skip
