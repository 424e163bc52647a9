"""From what is known of a person to what they are a member of, and to what is told of that."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from penstock.profiles.language.definitions import AudienceSetup, Notice, TraitSetup
from penstock.profiles.signals.program import Evaluation, Name, Program, View
from penstock.profiles.stream.emission import Subject, Told, messages
from penstock.profiles.stream.profile import Profile, Standing
from penstock.profiles.traits.custom import combine_traits, trait_values

__all__ = ["Conclusions", "view_of"]


def view_of(profile: Profile, program: Program, strategies: Mapping[str, str]) -> View:
    """All that is known of a person, their segments folded into one."""
    states = [profile.states[segment] for segment in profile.segments]
    signals = states[0].signals
    if len(states) > 1:
        signals = program.combine([state.signals for state in states])
    if profile.values is None:
        traits = states[0].traits
        if len(states) > 1:
            traits = combine_traits([state.traits for state in states], strategies)
        profile.values = trait_values(traits)
    return View(signals, profile.values, profile.known)


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
        self._notices: dict[Name, tuple[Notice, ...]] = {
            **{("audience", slug): one.notices for slug, one in audiences.items()},
            **{("trait", slug): one.notices for slug, one in traits.items()},
        }
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
        touched = None if profile.full else profile.touched
        for state in profile.states.values():
            self.program.settle(state.signals, now_us, touched)
        view = view_of(profile, self.program, self._strategies)
        found = self.program.evaluate(
            view, now_us, touched=touched, previous=(standing.traits, standing.audiences.keys())
        )
        due_us = _sooner(found.next_us, standing.due_us if touched is not None else None)
        if due_us != standing.due_us:
            standing.due_us = due_us
            profile.concluded = True
        changed = self._changed(profile, found)
        if changed:
            self._tell(profile, {**view.traits, **found.traits}, found, changed, now_us)

    @staticmethod
    def _changed(profile: Profile, found: Evaluation) -> list[Name]:
        """What is to be told: what is other than before, or all, when there is a new id."""
        standing = profile.standing
        if found.changed is not None and not profile.arrived:
            return sorted(found.changed)
        slugs = {("audience", slug) for slug in (*standing.audiences, *found.audiences)}
        slugs |= {("trait", slug) for slug in (*standing.traits, *found.traits)}
        if profile.arrived:
            return sorted(slugs)
        return sorted(name for name in slugs if _differs(name, standing, found))

    def _tell(
        self,
        profile: Profile,
        traits: Mapping[str, Any],
        found: Evaluation,
        changed: list[Name],
        now_us: int,
    ) -> None:
        standing = profile.standing
        profile.concluded = True
        subject = Subject(*self._subject(profile), traits)
        for name in changed:
            kind, slug = name
            again = not _differs(name, standing, found)
            value: Any = found.traits.get(slug) if kind == "trait" else slug in found.audiences
            if not again and kind == "audience":
                self._move(profile, slug, value, now_us)
            if again and not value:
                continue
            only: Iterable[tuple[str, str]] = profile.arrived if again else ()
            for notice in self._notices.get(name, ()):
                standing.turns += 1
                told = _told(kind, slug, value, notice)
                self._outbox += [
                    (message.message_id, message.payload)
                    for message in messages(subject, told, standing.turns, now_us, only)
                ]
        standing.traits = dict(found.traits)

    def _move(self, profile: Profile, slug: str, enters: bool, now_us: int) -> None:
        if enters:
            profile.standing.audiences[slug] = now_us
            self._joined.append((slug, profile.id, now_us))
            self.entered += 1
        else:
            del profile.standing.audiences[slug]
            self._left.append((slug, profile.id))
            self.exited += 1

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


def _differs(name: Name, standing: Standing, found: Evaluation) -> bool:
    kind, slug = name
    if kind == "trait":
        return bool(standing.traits.get(slug) != found.traits.get(slug))
    return (slug in standing.audiences) != (slug in found.audiences)


def _told(kind: str, slug: str, value: Any, notice: Notice) -> Told:
    return Told(kind, slug, value, notice.mode, notice.event, notice.destinations, notice.traits)


def _sooner(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return one if other is None else other
    return min(one, other)
