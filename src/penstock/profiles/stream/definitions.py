"""Which audiences and traits are computed, and which of them are ready to be told."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from penstock.profiles.language.definitions import AudienceSetup, TraitSetup
from penstock.profiles.signals.program import Program

__all__ = ["COMPUTING", "DISABLED", "LIVE", "Computed", "Definitions", "Setups"]

COMPUTING, LIVE, DISABLED = "computing", "live", "disabled"
_encode = msgspec.json.Encoder(order="deterministic").encode


@dataclass(frozen=True)
class Setups:
    """What a space is to compute."""

    audiences: Mapping[str, AudienceSetup] = field(default_factory=dict)
    traits: Mapping[str, TraitSetup] = field(default_factory=dict)


@dataclass(frozen=True)
class Computed:
    """Programs for one set of definitions."""

    observer: Program
    """Of all that are enabled: collects what they need."""
    collected: frozenset[str]
    """The signals to collect: all of the observer's but those that are still leaving."""
    evaluator: Program
    """Of those that are ready."""
    setups: Setups
    """Those that are ready."""


class Definitions:
    """Keeps the tables ``signals`` and ``computations`` in step with the setups.

    A signal that nothing wants any more is ``leaving`` until a sweep has taken it out of every
    state; one that is wanted again meanwhile waits for that, and is filled anew, so that nothing
    counts twice.
    """

    def __init__(self, connection: sqlite3.Connection, clock_us: Callable[[], int]) -> None:
        self._connection = connection
        self._clock_us = clock_us

    def adopt(self, setups: Setups, begin_history: Callable[[frozenset[str]], None]) -> Computed:
        """Take up new definitions; in a transaction.

        ``begin_history`` is called with signals that have to be filled from before.
        """
        wanted = Setups(
            {slug: one for slug, one in setups.audiences.items() if one.enabled},
            {slug: one for slug, one in setups.traits.items() if one.enabled},
        )
        observer = Program(wanted.traits, wanted.audiences)
        known = self._known()
        fresh = observer.signals - known.keys()
        filled = frozenset(key for key in fresh if self._wants_history(key, wanted, observer))
        rows = [(key, 0 if key in filled else 1) for key in fresh]
        self._connection.executemany("INSERT INTO signals VALUES (?, ?)", rows)
        for key in known.keys() - observer.signals:
            self._connection.execute("UPDATE signals SET ready = -1 WHERE key = ?", (key,))
        if filled:
            begin_history(filled)
        self._note(setups)
        return self.compute(wanted, observer)

    def differ(self, setups: Setups) -> bool:
        """Whether these are others than those that everybody was evaluated by."""
        rows = self._connection.execute("SELECT kind, slug, definition FROM computations")
        known = {(kind, slug): definition for kind, slug, definition in rows}
        return known != {
            (kind, slug): _encode(one)
            for kind, every in (("audience", setups.audiences), ("trait", setups.traits))
            for slug, one in every.items()
        }

    def compute(self, wanted: Setups, observer: Program) -> Computed:
        """The programs as signals are ready now."""
        known = self._known()
        ready = frozenset(key for key, state in known.items() if state == 1)
        leaving = frozenset(key for key, state in known.items() if state == -1)
        live = Setups(
            {
                s: one
                for s, one in wanted.audiences.items()
                if observer.needs("audience", s) <= ready
            },
            {s: one for s, one in wanted.traits.items() if observer.needs("trait", s) <= ready},
        )
        for kind, slugs in (("audience", live.audiences), ("trait", live.traits)):
            self._connection.executemany(
                "UPDATE computations SET state = ? WHERE kind = ? AND slug = ?",
                [(LIVE, kind, slug) for slug in slugs],
            )
        program = Program(live.traits, live.audiences)
        return Computed(observer, observer.signals - leaving, program, live)

    def swept(self) -> bool:
        """A sweep is over: what was leaving is gone. True when something was; in a transaction."""
        gone = self._connection.execute("DELETE FROM signals WHERE ready = -1").rowcount
        return gone > 0

    def _known(self) -> dict[str, int]:
        return dict(self._connection.execute("SELECT key, ready FROM signals").fetchall())

    @staticmethod
    def _wants_history(key: str, wanted: Setups, observer: Program) -> bool:
        return any(
            one.include_history and key in observer.needs(kind, slug)
            for kind, every in (("audience", wanted.audiences), ("trait", wanted.traits))
            for slug, one in every.items()
        )

    def _note(self, setups: Setups) -> None:
        """Write each definition down, with when it was first seen."""
        now_us = self._clock_us()
        present: set[tuple[str, str]] = set()
        for kind, every in (("audience", setups.audiences), ("trait", setups.traits)):
            for slug, one in every.items():
                present.add((kind, slug))
                state = COMPUTING if one.enabled else DISABLED
                self._connection.execute(
                    "INSERT INTO computations VALUES (?, ?, ?, ?, ?) ON CONFLICT (kind, slug)"
                    " DO UPDATE SET definition = excluded.definition, state = excluded.state",
                    (kind, slug, _encode(one), state, now_us),
                )
        rows = self._connection.execute("SELECT kind, slug FROM computations").fetchall()
        self._connection.executemany(
            "DELETE FROM computations WHERE kind = ? AND slug = ?", set(rows) - present
        )
