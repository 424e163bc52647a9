"""From what is known of a person to what they are a member of, and to what is told of that."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from penstock.profiles.language.definitions import AudienceSetup, Notice, TraitSetup
from penstock.profiles.signals.program import Program, View
from penstock.profiles.stream.emission import Subject, Told, messages
from penstock.profiles.stream.profile import Profile
from penstock.profiles.traits.custom import combine_traits, trait_values

__all__ = ["Conclusions", "view_of"]


def view_of(profile: Profile, program: Program, strategies: Mapping[str, str]) -> View:
    """All that is known of a person, their segments folded into one."""
    states = [profile.states[segment] for segment in profile.segments]
    if len(states) == 1:
        traits, signals = states[0].traits, states[0].signals
    else:
        traits = combine_traits([state.traits for state in states], strategies)
        signals = program.combine([state.signals for state in states])
    return View(signals, trait_values(traits), profile.known)


class Conclusions:
    """Evaluates profiles and writes what follows: members, sizes, and messages."""

    def __init__(
        self,
        program: Program,
        audiences: Mapping[str, AudienceSetup],
        traits: Mapping[str, TraitSetup],
        strategies: Mapping[str, str],
        subject: Callable[[Profile], tuple[str, str, tuple[tuple[str, str], ...]]],
    ) -> None:
        """``subject``: space, public id and external ids of a profile."""
        self.program = program
        self._audiences = audiences
        self._traits = traits
        self._strategies = strategies
        self._subject = subject
        self._joined: list[tuple[str, int, int]] = []
        self._left: list[tuple[str, int]] = []
        self._outbox: list[tuple[str, bytes]] = []
        self.entered = 0
        self.exited = 0

    def conclude(self, profile: Profile, now_us: int) -> None:
        """Evaluate one profile as of now."""
        standing = profile.standing
        for state in profile.states.values():
            self.program.settle(state.signals, now_us)
        view = view_of(profile, self.program, self._strategies)
        touched = None if profile.full else profile.touched
        found = self.program.evaluate(
            view, now_us, touched=touched, previous=(standing.traits, standing.audiences.keys())
        )
        standing.due_us = _sooner(found.next_us, standing.due_us if touched is not None else None)
        before, members = standing.audiences, found.audiences
        if (
            not profile.arrived
            and found.traits == standing.traits
            and len(before) == len(members)
            and all(slug in members for slug in before)
        ):
            return
        self._tell(profile, view.traits, found.traits, members, now_us)

    def _tell(
        self,
        profile: Profile,
        custom: Mapping[str, Any],
        traits: Mapping[str, Any],
        members: Collection[str],
        now_us: int,
    ) -> None:
        standing = profile.standing
        space, public, ids = self._subject(profile)
        subject = Subject(space, public, ids, {**custom, **traits})
        told: list[tuple[Told, bool]] = []
        for slug in sorted(standing.audiences.keys() - set(members)):
            del standing.audiences[slug]
            self._left.append((slug, profile.id))
            told += self._audience(slug, False)
            self.exited += 1
        for slug in sorted(members):
            fresh = slug not in standing.audiences
            if fresh:
                standing.audiences[slug] = now_us
                self._joined.append((slug, profile.id, now_us))
                self.entered += 1
            elif not profile.arrived:
                continue
            told += self._audience(slug, True, again=not fresh)
        for slug in sorted(standing.traits.keys() | traits.keys()):
            fresh = standing.traits.get(slug) != traits.get(slug)
            if fresh or profile.arrived:
                told += self._trait(slug, traits.get(slug), again=not fresh)
        standing.traits = dict(traits)
        for one, again in told:
            standing.turns += 1
            only: Iterable[tuple[str, str]] = profile.arrived if again else ()
            for message in messages(subject, one, standing.turns, now_us, only):
                self._outbox.append((message.message_id, message.payload))

    def _audience(self, slug: str, value: bool, *, again: bool = False) -> list[tuple[Told, bool]]:
        setup = self._audiences.get(slug)
        notices = setup.notices if setup else ()
        return [(_told("audience", slug, value, notice), again) for notice in notices]

    def _trait(self, slug: str, value: Any, *, again: bool) -> list[tuple[Told, bool]]:
        setup = self._traits.get(slug)
        notices = setup.notices if setup else ()
        return [(_told("trait", slug, value, notice), again) for notice in notices]

    def write(self, connection: sqlite3.Connection) -> None:
        """Write what was concluded since the last time; in the batch's transaction."""
        connection.executemany("DELETE FROM members WHERE audience = ? AND profile = ?", self._left)
        connection.executemany("INSERT OR REPLACE INTO members VALUES (?, ?, ?)", self._joined)
        connection.executemany(
            "INSERT INTO outbox (message_id, payload) VALUES (?, ?)", self._outbox
        )

    def settle(self) -> None:
        """The transaction is through, or given up."""
        self._left.clear()
        self._joined.clear()
        self._outbox.clear()


def _told(kind: str, slug: str, value: Any, notice: Notice) -> Told:
    return Told(kind, slug, value, notice.mode, notice.event, notice.destinations, notice.traits)


def _sooner(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return one if other is None else other
    return min(one, other)
