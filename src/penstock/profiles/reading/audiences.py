"""How an audience stands: its state, its sizes, its members."""

from __future__ import annotations

import sqlite3
from typing import Literal

import msgspec

__all__ = ["AudienceStanding", "Member", "SizeOfDay", "Standings"]

State = Literal["waiting", "computing", "live", "disabled"]


class SizeOfDay(msgspec.Struct, frozen=True):
    """How large it was, as of the last look on that day."""

    day: int
    """Days since 1970, UTC."""
    size: int


class AudienceStanding(msgspec.Struct, frozen=True):
    """What the process that computes says of an audience."""

    state: State
    """waiting: that process has not taken it up yet."""
    size: int
    since_us: int | None
    """When it was first taken up; microseconds since 1970 UTC."""


class Member(msgspec.Struct, frozen=True):
    """Somebody who is in it."""

    number: int
    since_us: int


class Standings:
    """Answers from one state of the file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def of(self, slug: str) -> AudienceStanding:
        """How it stands now."""
        row = self._connection.execute(
            "SELECT state, created_us FROM computations WHERE kind = 'audience' AND slug = ?",
            (slug,),
        ).fetchone()
        if row is None:
            return AudienceStanding("waiting", 0, None)
        (size,) = self._connection.execute(
            "SELECT count(*) FROM members WHERE audience = ?", (slug,)
        ).fetchone()
        return AudienceStanding(row[0], size, row[1])

    def sizes(self, slug: str, days: int) -> list[SizeOfDay]:
        """The last days of which it is known, oldest first."""
        rows = self._connection.execute(
            "SELECT day, size FROM sizes WHERE audience = ? ORDER BY day DESC LIMIT ?",
            (slug, days),
        ).fetchall()
        return [SizeOfDay(*row) for row in reversed(rows)]

    def members(self, slug: str, after: int, limit: int) -> list[Member]:
        """A page, by number; ``after``: the last number of the page before."""
        rows = self._connection.execute(
            "SELECT profile, since_us FROM members WHERE audience = ? AND profile > ?"
            " ORDER BY profile LIMIT ?",
            (slug, after, limit),
        )
        return [Member(*row) for row in rows]
