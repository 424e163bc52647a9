"""One person or account, as others may see them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from penstock.errors import NotFound
from penstock.profiles.identity.graph import KNOWN_TYPES
from penstock.profiles.stream.accounts import decode_account
from penstock.profiles.stream.definitions import LIVE
from penstock.profiles.stream.file import ProfileFile, file_of
from penstock.profiles.stream.outbox import SOURCE
from penstock.profiles.stream.profile import (
    SegmentState,
    Standing,
    decode_standing,
    decode_state,
)
from penstock.profiles.traits.custom import combine_traits, trait_values

__all__ = [
    "Account",
    "Id",
    "Metadata",
    "Person",
    "ProfileReader",
    "TraitClass",
    "TraitEntry",
    "opened_reader",
]

TraitClass = Literal["custom", "computed_trait", "audience"]
_MOST_LINKS = 20
_OWNER = (
    "SELECT s.profile FROM ids i JOIN segments s ON s.id = i.segment"
    " WHERE i.value = ? AND i.type = ? AND i.removed_us IS NULL"
)


class TraitEntry(msgspec.Struct, frozen=True):
    """One trait of a person or account."""

    name: str
    value: Any
    kind: TraitClass
    source: str
    """Slug; ``penstock`` of what was computed."""
    updated_us: int | None
    """When the value came; of an audience since when it is a member; else None."""


class Id(msgspec.Struct, frozen=True):
    """An external id of a person."""

    number: int
    """Ascending in order of attachment."""
    type: str
    value: str
    source: str
    attached_us: int
    message_id: str


class Metadata(msgspec.Struct, frozen=True):
    """What there was first and last of a person; times in microseconds since 1970 UTC."""

    created_us: int
    updated_us: int
    first_message_id: str
    first_source: str
    last_message_id: str
    last_source: str


@dataclass(frozen=True)
class Person:
    """All that is kept of a profile."""

    number: int
    public_id: str
    segments: tuple[int, ...]
    states: tuple[SegmentState, ...]
    """In the order of ``segments``."""
    standing: Standing
    custom: Mapping[str, list[Any]]
    """By name: [value, timestamp, receipt, message id, source]."""
    known: bool
    """Whether it has an id that names a person."""

    @property
    def values(self) -> dict[str, Any]:
        """Custom traits by name."""
        return trait_values(dict(self.custom))


@dataclass(frozen=True)
class Account:
    """All that is kept of an account."""

    group_id: str
    custom: Mapping[str, list[Any]]


@contextmanager
def opened_reader(
    folder: Path, space: str, strategies: Mapping[str, str]
) -> Iterator[ProfileReader]:
    """The people of a space, for this thread.

    Raises NotFound when there are none yet, ProfileError when the file can't be read.
    """
    path = file_of(folder, space)
    if not path.exists():
        raise NotFound(f"nobody is known in the space {space}: no event of it was read yet")
    file = ProfileFile(path, read_only=True)
    try:
        file.connection.execute("BEGIN")  # one state of the file for all that is asked
        yield ProfileReader(file, strategies)
    finally:
        file.close()


class ProfileReader:
    """Answers from one state of the file."""

    def __init__(self, file: ProfileFile, strategies: Mapping[str, str]) -> None:
        """``strategies``: how values of a custom trait become one, by name."""
        self.connection = file.connection
        self.strategies = strategies

    # People ---------------------------------------------------------------------------------

    def find(self, kind: str, value: str) -> Person:
        """The person of an external id, or of their own id as ``profile``. Raises NotFound.

        E-mail addresses are kept in lower case, and only so are they found.
        """
        if kind == "profile":
            query, given = "SELECT profile FROM segments WHERE public_id = ?", (value,)
        else:
            query, given = _OWNER, (value, kind)  # type: ignore[assignment]
        row = self.connection.execute(query, given).fetchone()
        if row is None:
            raise NotFound("Profile was not found.")
        return self.person(int(row[0]))

    def person(self, number: int) -> Person:
        """A profile by its number."""
        segments = self._segments(number)
        states = tuple(self._state(segment) for segment in segments)
        custom = states[0].traits
        if len(states) > 1:
            custom = combine_traits([state.traits for state in states], self.strategies)
        row = self.connection.execute(
            "SELECT standing FROM standings WHERE profile = ?", (number,)
        ).fetchone()
        known = any(one.type in KNOWN_TYPES for one in self._ids(segments))
        standing = decode_standing(row[0]) if row else Standing()
        return Person(number, self.public_id(number), segments, states, standing, custom, known)

    def _segments(self, number: int) -> tuple[int, ...]:
        rows = self.connection.execute(
            "SELECT id FROM segments WHERE profile = ? AND profile <> id", (number,)
        )
        return tuple(sorted([number, *(segment for (segment,) in rows)]))

    def _state(self, segment: int) -> SegmentState:
        row = self.connection.execute(
            "SELECT state FROM states WHERE segment = ?", (segment,)
        ).fetchone()
        return decode_state(row[0]) if row else SegmentState({}, {})

    def public_id(self, segment: int) -> str:
        """The id of a profile that others see."""
        (public,) = self.connection.execute(
            "SELECT public_id FROM segments WHERE id = ?", (segment,)
        ).fetchone()
        return str(public)

    def ids(self, person: Person) -> list[Id]:
        """The external ids of a person, in order of attachment."""
        return self._ids(person.segments)

    def ids_of(self, number: int) -> list[Id]:
        """The same, by the number of the profile."""
        return self._ids(self._segments(number))

    def _ids(self, segments: Sequence[int]) -> list[Id]:
        marks = ",".join("?" * len(segments))
        rows = self.connection.execute(
            "SELECT id, type, original, source, attached_us, message_id FROM ids"
            f" WHERE removed_us IS NULL AND segment IN ({marks}) ORDER BY id",
            segments,
        )
        return [Id(*row) for row in rows]

    def traits(self, person: Person) -> list[TraitEntry]:
        """By name; what is computed hides a custom trait of the same name.

        Each audience that is live is a trait, true or false.
        """
        found = {one.name: one for one in _custom(person.custom)}
        standing = person.standing
        for slug, value in standing.traits.items():
            found[slug] = TraitEntry(slug, value, "computed_trait", SOURCE, None)
        for slug in self._live():
            since_us = standing.audiences.get(slug)
            member = since_us is not None
            found[slug] = TraitEntry(slug, member, "audience", SOURCE, since_us)
        return [found[name] for name in sorted(found)]

    def _live(self) -> list[str]:
        rows = self.connection.execute(
            "SELECT slug FROM computations WHERE kind = 'audience' AND state = ?", (LIVE,)
        )
        return [slug for (slug,) in rows]

    def metadata(self, person: Person) -> Metadata:
        """First by creation, last by receipt, over all segments."""
        marks = ",".join("?" * len(person.segments))
        created, message, source = self.connection.execute(
            "SELECT created_us, message_id, source FROM segments"
            f" WHERE id IN ({marks}) ORDER BY created_us, id LIMIT 1",
            person.segments,
        ).fetchone()
        last = max((state.last for state in person.states), key=lambda one: one[2])
        return Metadata(created, last[2], message, source, last[0], last[1])

    def accounts_of(self, person: Person) -> list[str]:
        """Group ids of the accounts of a person, those linked first coming first."""
        marks = ",".join("?" * len(person.segments))
        rows = self.connection.execute(
            f"SELECT group_id FROM links WHERE segment IN ({marks})"
            " GROUP BY group_id ORDER BY min(since_us), group_id LIMIT ?",
            (*person.segments, _MOST_LINKS),
        )
        return [group for (group,) in rows]

    # Accounts -------------------------------------------------------------------------------

    def account(self, group_id: str) -> Account:
        """An account that a group call named. Raises NotFound."""
        row = self.connection.execute(
            "SELECT state FROM accounts WHERE group_id = ?", (group_id,)
        ).fetchone()
        if row is None:
            raise NotFound("Profile was not found.")
        return Account(group_id, decode_account(row[0]))

    def account_traits(self, account: Account) -> list[TraitEntry]:
        """By name."""
        found = {one.name: one for one in _custom(account.custom)}
        return [found[name] for name in sorted(found)]

    def users_of(self, account: Account) -> list[int]:
        """Profiles linked to an account, those linked first coming first."""
        rows = self.connection.execute(
            "SELECT s.profile FROM links l JOIN segments s ON s.id = l.segment"
            " WHERE group_id = ? GROUP BY s.profile ORDER BY min(since_us), s.profile LIMIT ?",
            (account.group_id, _MOST_LINKS),
        )
        return [number for (number,) in rows]


def _custom(state: Mapping[str, list[Any]]) -> list[TraitEntry]:
    """Of a name that was made of first and last name, who sent the later of the two."""
    found = []
    for name, value in trait_values(dict(state)).items():
        entry = state.get(name)
        if entry is None or entry[0] is None:
            entry = max(
                (state[part] for part in ("firstName", "first_name", "lastName", "last_name")
                 if part in state),
                key=lambda one: one[1],
            )  # fmt: skip
        found.append(TraitEntry(name, value, "custom", entry[4], entry[1]))
    return found
