"""What others may see of a person."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.errors import NotFound
from penstock.profiles.language.definitions import AudienceSetup, TraitSetup
from penstock.profiles.reading.audiences import Standings
from penstock.profiles.reading.events import recent_events
from penstock.profiles.reading.people import ProfileReader, opened_reader
from tests.profiles.stream.world import DAY_US, START_US, World, track


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    world.define(
        AudienceSetup("buyers", 'did "Bought"'),
        AudienceSetup("lost", 'did "Bought" and not trait plan exists'),
        TraitSetup("spent", "sum", event="Bought", of="total"),
    )
    world.send(
        {"type": "page", "anonymousId": "a1", "name": "Home"},
        {"type": "identify", "anonymousId": "a1", "userId": "u1",
         "traits": {"email": "Ann@Example.com", "firstName": "Ann", "lastName": "Lee"}},
        {"type": "page", "anonymousId": "a2"},
        {"type": "identify", "anonymousId": "a2", "traits": {"plan": "gold"}},
        {"type": "identify", "anonymousId": "a2", "userId": "u1"},
        track("u1", "Bought", {"total": 19.9}),
        {"type": "group", "userId": "u1", "groupId": "g1", "traits": {"name": "Acme", "seats": 3}},
        {"type": "group", "userId": "u1", "groupId": "g1", "traits": {"seats": 5}},
    )  # fmt: skip
    world.drain()
    yield world
    world.close()


@pytest.fixture
def reader(world: World) -> Iterator[ProfileReader]:
    with opened_reader(world.folder / "profiles", "default", {}) as reader:
        yield reader


@pytest.mark.parametrize(
    ("kind", "value"),
    [("user_id", "u1"), ("anonymous_id", "a1"), ("anonymous_id", "a2"),
     ("email", "ann@example.com")],
)  # fmt: skip
def test_any_id_finds_the_person_whole(reader: ProfileReader, kind: str, value: str) -> None:
    person = reader.find(kind, value)
    assert person.number == reader.find("user_id", "u1").number
    assert len(person.segments) == 2
    shown = {one.name: (one.value, one.kind) for one in reader.traits(person)}
    assert shown == {
        "email": ("Ann@Example.com", "custom"),
        "firstName": ("Ann", "custom"),
        "lastName": ("Lee", "custom"),
        "name": ("Ann Lee", "custom"),
        "plan": ("gold", "custom"),
        "spent": (19.9, "computed_trait"),
        "buyers": (True, "audience"),
        "lost": (False, "audience"),
    }
    assert [one.name for one in reader.traits(person)] == sorted(shown)
    entry = next(one for one in reader.traits(person) if one.name == "plan")
    assert (entry.source, entry.updated_us) == ("web", START_US)


def test_an_unknown_id_and_an_email_in_other_case_find_nobody(reader: ProfileReader) -> None:
    for kind, value in (("user_id", "u2"), ("email", "Ann@example.com"), ("profile", "use_0")):
        with pytest.raises(NotFound):
            reader.find(kind, value)


def test_the_own_id_finds_too_also_that_of_one_merged_away(reader: ProfileReader) -> None:
    person = reader.find("user_id", "u1")
    for segment in person.segments:
        assert reader.find("profile", reader.public_id(segment)).number == person.number


def test_ids_and_metadata(reader: ProfileReader) -> None:
    person = reader.find("user_id", "u1")
    assert [(one.type, one.value, one.source, one.message_id) for one in reader.ids(person)] == [
        ("anonymous_id", "a1", "web", "m1"),
        ("user_id", "u1", "web", "m2"),
        ("email", "Ann@Example.com", "web", "m2"),
        ("anonymous_id", "a2", "web", "m3"),
    ]
    found = reader.metadata(person)
    assert (found.first_message_id, found.last_message_id) == ("m1", "m8")


def test_events_of_all_segments(reader: ProfileReader, world: World) -> None:
    person = reader.find("user_id", "u1")
    found = recent_events(world.journal, person.states)
    assert {event.message_id for _, event in found} == {f"m{one}" for one in range(1, 9)}


def test_an_account_keeps_the_newest_traits_of_group_calls(
    reader: ProfileReader, world: World
) -> None:
    account = reader.account("g1")
    assert {one.name: one.value for one in reader.account_traits(account)} == {
        "name": "Acme", "seats": 5,
    }  # fmt: skip
    person = reader.find("user_id", "u1")
    assert reader.accounts_of(person) == ["g1"]
    assert reader.users_of(account) == [person.number]
    with pytest.raises(NotFound):
        reader.account("g2")


def test_how_an_audience_stands(world: World) -> None:
    world.send(track("u2", "Bought"), track("u3", "Bought"))
    world.drain()
    world.space.note_sizes()
    world.later(1)
    world.send(track("u4", "Bought"))
    world.drain()
    world.space.note_sizes()
    with opened_reader(world.folder / "profiles", "default", {}) as reader:
        standings = Standings(reader.connection)
        found = standings.of("buyers")
        assert (found.state, found.size, found.since_us) == ("live", 4, START_US)
        today = (START_US + DAY_US) // DAY_US
        sizes = [(one.day, one.size) for one in standings.sizes("buyers", 10)]
        assert sizes == [(today - 1, 3), (today, 4)]
        first = standings.members("buyers", 0, 3)
        rest = standings.members("buyers", first[-1].number, 3)
        assert (len(first), len(rest)) == (3, 1)
        assert standings.of("nope").state == "waiting"
