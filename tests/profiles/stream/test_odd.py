"""Odd events harm nobody else's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.events.model import Record
from penstock.journal.contract import NewBlock
from penstock.profiles.language.definitions import AudienceSetup, TraitSetup
from tests.profiles.stream.world import World, _encode, track

ODD = (
    '{"a":123456789012345678901234567890,"n":123456789012345678901234567890}',
    '{"a":1e400,"n":1e400}',
    '{"a":"\\ud800","n":"\\ud800"}',
    '{"a":' + "[" * 3_000 + "]" * 3_000 + "}",
    '{"n":NaN}',
    "7",
    "null",
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


@pytest.mark.parametrize("kind", ["identify", "track"])
@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_odd_values_stop_nothing(world: World, kind: str, odd: str) -> None:
    world.define(
        AudienceSetup("x", 'did "X"'),
        AudienceSetup("n", 'did "X" where n > 1 or did "X"'),
        TraitSetup("biggest", "max", event="X", of="n"),
        TraitSetup("every", "unique_list", event="X", of="n", destinations=("d",)),
        TraitSetup("within", "last", event="X", of="n", within="3 days", destinations=("d",)),
        TraitSetup("total", "sum", event="X", of="n"),
    )
    payload = (
        f'{{"type":"{kind}","event":"X","messageId":"odd","userId":"u",'
        f'"timestamp":"2025-10-09T08:53:20Z","properties":{odd},"traits":{odd},"context":{odd}}}'
    )
    world.writer.append(
        [NewBlock(_encode([Record("web", "odd", world.now_us, payload.encode())]), 1)]
    )
    world.send(track("v", "X"), track("u", "X"))
    world.drain()
    assert world.members("x") == {"u", "v"}
    world.restart()
    world.drain()
    assert world.members("x") == {"u", "v"}


def test_a_body_that_is_no_event_is_passed_over(world: World) -> None:
    world.define(AudienceSetup("x", 'did "X"'))
    for body in (b"{", b"[]", b'{"type":"track"}'):
        world.writer.append([NewBlock(_encode([Record("web", "m", world.now_us, body)]), 1)])
    world.writer.append([NewBlock(b"junk", 1)])
    world.send(track("u", "X"))
    world.drain()
    assert world.members("x") == {"u"}


def test_a_journal_that_lost_its_end_is_read_on(world: World) -> None:
    world.define(AudienceSetup("x", 'did "X"'))
    world.send(track("u", "X"))
    world.drain()
    with world.space.file.transaction() as connection:
        connection.execute("UPDATE positions SET next = 9")
    world.restart()
    world.drain()
    world.send(track("v", "X"))
    world.drain()
    assert world.members("x") == {"u", "v"}


def test_what_the_journal_let_go_is_not_remembered(world: World) -> None:
    world.send(track("u", "X"))
    world.drain()
    world.space.worker.trim()
    count = "SELECT count(*) FROM assignments"
    assert world.space.file.connection.execute(count).fetchone() == (1,)
