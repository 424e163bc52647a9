"""Previews equal what the stream finds afterwards; and why somebody is in an audience."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.errors import ConfigurationError
from penstock.profiles.language.definitions import AudienceSetup
from penstock.profiles.reading.looking import explain_audience
from penstock.profiles.reading.people import opened_reader
from penstock.profiles.reading.preview import Preview, preview
from tests.profiles.stream.world import START_US, World, track

CONDITIONS = [
    'did "Bought"',
    'did not "Bought"',
    'did "Bought" at least 2 times within 30 days and not trait plan = "gold"',
    'sum("Bought".total) > 30',
    'average("Bought".total) > 10 within 10 days',
    'did "Viewed" after last "Bought"',
    "in audience buyers and not (trait plan exists)",
]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    world.define(AudienceSetup("buyers", 'did "Bought"'))
    world.send(
        track("u1", "Bought", {"total": 20}, ago=20), track("u1", "Bought", {"total": 20}, ago=5),
        track("u2", "Bought", {"total": 8}, ago=40), track("u2", "Viewed", ago=1),
        {"type": "identify", "userId": "u1", "traits": {"plan": "gold"}},
        {"type": "track", "event": "Bought", "anonymousId": "a3", "properties": {"total": 99}},
        track("u4", "Viewed"),
        {"type": "page", "anonymousId": "a5"},
        {"type": "track", "event": "Bought", "anonymousId": "a5", "properties": {"total": 3}},
        {"type": "identify", "anonymousId": "a5", "userId": "u4", "traits": {}},
    )  # fmt: skip
    world.drain()
    yield world
    world.close()


def _previewed(world: World, setup: AudienceSetup, **options: float) -> Preview:
    with opened_reader(world.folder / "profiles", "default", {}) as reader:
        return preview(reader, world.journal, setup, world.now_us, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("anonymous", [False, True])
@pytest.mark.parametrize("when", CONDITIONS)
def test_a_preview_is_what_the_audience_then_is(world: World, when: str, anonymous: bool) -> None:
    setup = AudienceSetup("new", when, include_anonymous=anonymous)
    buyers = AudienceSetup("buyers", 'did "Bought"')
    before = _previewed(world, setup)
    world.define(buyers, setup)
    world.drain()
    members = world.members("new")
    assert before.size == len(members)
    assert {world.name(number) for number in before.sample} == members
    kept = _previewed(world, setup)
    assert (kept.size, kept.from_history) == (len(members), False)


def test_what_is_not_kept_is_read_again_and_what_takes_too_long_is_refused(world: World) -> None:
    setup = AudienceSetup("new", 'did "Viewed"')
    assert _previewed(world, setup).from_history
    with pytest.raises(ConfigurationError, match="in the background"):
        _previewed(world, setup, seconds=-1)
    with pytest.raises(ConfigurationError, match="no audience nope"):
        _previewed(world, AudienceSetup("new", "in audience nope"))


def test_why_somebody_is_in_and_why_not(world: World) -> None:
    text = 'did "Bought" at least 2 times within 30 days and not trait plan = "gold"'
    setup = AudienceSetup("new", text)
    world.define(setup)
    world.drain()
    with opened_reader(world.folder / "profiles", "default", {}) as reader:
        found = explain_audience(setup, reader.find("user_id", "u1"), world.now_us)
        nobody = explain_audience(setup, reader.find("anonymous_id", "a3"), world.now_us)
    assert (found.condition, found.holds) == (text, False)
    did, plan = found.of
    assert (did.condition, did.holds, did.found, did.at_least) == (
        'did "Bought" at least 2 times within 30 days', True, 2, False,
    )  # fmt: skip
    assert did.until_us == START_US + 10 * 86_400_000_000 + 1
    assert (plan.holds, plan.of[0].holds, plan.of[0].found) == (False, True, "gold")
    assert not nobody.holds
    assert nobody.of[0].condition.startswith("has a user_id")


@pytest.mark.parametrize(
    ("when", "value"),
    [
        ('sum("Bought".total) > 30', 40),
        ('average("Bought".total) > 30', 20),
        ('max("Bought".total) > 30 within 10 days', 20),
        ('min("Bought".total) > 30 within 1 day', None),
        ('did "Bought"', 2),
        ('did "Bought" between 10 and 30 days ago', 1),
        ('did "Bought" after last "Viewed"', 0),
        ("in audience buyers", True),
    ],
)
def test_what_each_kind_of_condition_found(world: World, when: str, value: object) -> None:
    setup = AudienceSetup("new", when)
    world.define(AudienceSetup("buyers", 'did "Bought"'), setup)
    world.drain()
    with opened_reader(world.folder / "profiles", "default", {}) as reader:
        found = explain_audience(setup, reader.find("user_id", "u1"), world.now_us)
    assert found.found == value
