"""Audiences and people as the management API and the commands show them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from penstock.journal.contract import Journal
from penstock.profiles.language.definitions import AudienceSetup
from penstock.profiles.reading.audiences import Standings, State
from penstock.profiles.reading.looking import explain_audience
from penstock.profiles.reading.people import ProfileReader
from penstock.profiles.reading.preview import preview
from penstock.profiles.signals.explaining import Explained

__all__ = [
    "AudienceShown",
    "IdShown",
    "MemberPage",
    "MemberShown",
    "PreviewShown",
    "ProfileShown",
    "Size",
    "TraitShown",
    "Why",
    "show_audience",
    "show_members",
    "show_preview",
    "show_profile",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAYS = 90


class IdShown(msgspec.Struct):
    """An external id."""

    type: str
    value: str


class MemberShown(msgspec.Struct):
    """Somebody who is in an audience."""

    profile: str
    """Their own id, such as use_0b1c…"""
    ids: list[IdShown]
    since: datetime | None = None


class MemberPage(msgspec.Struct):
    """Members, those known longest first."""

    items: list[MemberShown]
    next: str | None = None
    """Give it as ``after``; null on the last page."""


class Size(msgspec.Struct):
    """How large it was at the end of a day (UTC), or so far."""

    day: date
    size: int


class AudienceShown(msgspec.Struct):
    """An audience and how it stands."""

    definition: dict[str, Any]
    state: State
    """waiting: not taken up yet; computing: its history is read; live; disabled."""
    size: int
    since: datetime | None
    """When it was first computed."""
    sizes: list[Size]
    members: MemberPage
    """The first page."""


class PreviewShown(msgspec.Struct):
    """What a condition comes to now."""

    size: int
    people: int
    """Out of how many."""
    from_history: bool
    """Whether events were read again, as the condition asks for what nothing kept."""
    sample: list[MemberShown]


class TraitShown(msgspec.Struct):
    """A trait of a person."""

    name: str
    value: Any
    kind: str
    """custom, computed_trait or audience."""
    source: str
    updated: datetime | None


class Why(msgspec.Struct):
    """Why a person is in an audience, or is not."""

    audience: str
    member: bool
    condition: Explained


class ProfileShown(msgspec.Struct):
    """A person."""

    profile: str
    created: datetime
    updated: datetime
    """When the last event of them was received."""
    events: int
    """How many there were of them, ever."""
    ids: list[IdShown]
    traits: list[TraitShown]
    accounts: list[str]
    why: list[Why] = []
    """Of the audiences that were asked about."""


def show_members(reader: ProfileReader, slug: str, after: int, limit: int) -> MemberPage:
    """A page of the members of an audience."""
    found = Standings(reader.connection).members(slug, after, limit)
    items = [_member(reader, one.number, one.since_us) for one in found]
    return MemberPage(items, str(found[-1].number) if len(found) == limit else None)


def show_audience(
    reader: ProfileReader | None, setup: AudienceSetup, definition: dict[str, Any], limit: int
) -> AudienceShown:
    """An audience with its first members; without a reader nobody is known yet."""
    if reader is None:
        return AudienceShown(definition, "waiting", 0, None, [], MemberPage([]))
    standings = Standings(reader.connection)
    found = standings.of(setup.slug)
    return AudienceShown(
        definition,
        found.state,
        found.size,
        None if found.since_us is None else _time(found.since_us),
        [Size(date(1970, 1, 1) + timedelta(days=one.day), one.size)
         for one in standings.sizes(setup.slug, _DAYS)],
        show_members(reader, setup.slug, 0, limit),
    )  # fmt: skip


def show_preview(
    reader: ProfileReader, journal: Journal, setup: AudienceSetup, now_us: int
) -> PreviewShown:
    """Raises ConfigurationError as ``preview`` does."""
    found = preview(reader, journal, setup, now_us)
    sample = [_member(reader, number) for number in found.sample]
    return PreviewShown(found.size, found.people, found.from_history, sample)


def show_profile(
    reader: ProfileReader, kind: str, value: str, audiences: list[AudienceSetup], now_us: int
) -> ProfileShown:
    """A person, with why they are in these audiences or not. Raises NotFound."""
    person = reader.find(kind, value)
    metadata = reader.metadata(person)
    return ProfileShown(
        person.public_id,
        _time(metadata.created_us),
        _time(metadata.updated_us),
        sum(state.events for state in person.states),
        [IdShown(one.type, one.value) for one in reader.ids(person)],
        [TraitShown(one.name, one.value, one.kind, one.source,
                    None if one.updated_us is None else _time(one.updated_us))
         for one in reader.traits(person)],
        reader.accounts_of(person),
        [Why(one.slug, one.slug in person.standing.audiences,
             explain_audience(one, person, now_us)) for one in audiences],
    )  # fmt: skip


def _member(reader: ProfileReader, number: int, since_us: int | None = None) -> MemberShown:
    ids = [IdShown(one.type, one.value) for one in reader.ids_of(number)]
    since = None if since_us is None else _time(since_us)
    return MemberShown(reader.public_id(number), ids, since)


def _time(at_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at_us)
