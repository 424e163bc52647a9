"""Looks at everybody once, because definitions changed."""

from __future__ import annotations

import sqlite3
from typing import Protocol

from penstock.profiles.stream.profile import Profile

__all__ = ["Sweep"]

_CHUNK = 1_000


class _People(Protocol):
    def get(self, number: int) -> Profile: ...

    def touch(self, profile: Profile) -> None: ...


class Sweep:
    """Goes through the profiles in order, a stretch a step, beside what events do.

    Where it is stands in the table ``sweep``; after a crash it goes on from there. It also takes
    signals that no definition wants any more out of what is kept.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        row = connection.execute("SELECT next FROM sweep").fetchone()
        self.next: int | None = row[0] if row else None
        """The first profile that was not looked at; None: there is nothing to do."""

    def begin(self) -> None:
        """Begin from the start; in a transaction."""
        self.next = 0
        self._connection.execute("INSERT OR REPLACE INTO sweep VALUES (1, 0)")

    def advance(self, people: _People, wanted: frozenset[str]) -> bool:
        """Touch the next stretch; True when it was the last. ``write`` has to follow."""
        if self.next is None:
            return True
        rows = self._connection.execute(
            "SELECT profile FROM standings WHERE profile >= ? ORDER BY profile LIMIT ?",
            (self.next, _CHUNK),
        ).fetchall()
        for (number,) in rows:
            profile = people.get(number)
            profile.full = True
            _prune(profile, wanted)
            people.touch(profile)
        self.next = rows[-1][0] + 1 if len(rows) == _CHUNK else None
        return self.next is None

    def write(self, connection: sqlite3.Connection) -> None:
        """Write how far it is; in the transaction that writes what was concluded."""
        if self.next is None:
            connection.execute("DELETE FROM sweep")
        else:
            connection.execute("INSERT OR REPLACE INTO sweep VALUES (1, ?)", (self.next,))

    def reload(self) -> None:
        """After a transaction that was given up: the file counts."""
        row = self._connection.execute("SELECT next FROM sweep").fetchone()
        self.next = row[0] if row else None


def _prune(profile: Profile, wanted: frozenset[str]) -> None:
    for segment, state in profile.states.items():
        unwanted = state.signals.keys() - wanted
        for key in unwanted:
            del state.signals[key]
        if unwanted:
            profile.dirty.add(segment)
