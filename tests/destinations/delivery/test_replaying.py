"""Replays send again what was asked for, and nothing else."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from penstock.destinations.delivery.consumer import Bounds
from tests.destinations.delivery.bench import TAKEN, Tool, World, balance, quick, refused, until

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def us(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)


def hours_of_events(world: World) -> dict[int, list[str]]:
    return {
        hour: world.store_events(40, at_us=us(NOON + timedelta(hours=hour)),
                                 event="A" if hour % 2 else "B")
        for hour in range(6)
    }  # fmt: skip


def test_a_range_and_names_are_replayed_to_the_destination_alone(tmp_path: Path) -> None:
    world = World(tmp_path)
    by_hour = hours_of_events(world)
    tool = world.add("hook", Tool())
    store = world.store()

    async def run() -> None:
        async with world.delivering():
            await until(lambda: len(tool.got) == 240)
            tool.got.clear()
            tool.routed.clear()
            store.request_replay("hook", NOON + timedelta(hours=1), NOON + timedelta(hours=4),
                                 events=["A"])  # fmt: skip
            await until(lambda: store.replays()[0].state == "done")

    asyncio.run(run())
    assert sorted(tool.got) == sorted([*by_hour[1], *by_hour[3]])
    assert all(one["integrations"] == {"All": False, "tool": True} for one in tool.routed)
    (replay,) = store.replays("hook")
    assert (replay.selected, replay.delivered, replay.progress) == (80, 80, 1.0)
    assert balance(store, "hook")["delivered"] == 240, "a replay is not counted twice"


def test_a_disabled_destination_can_be_replayed_to(tmp_path: Path) -> None:
    world = World(tmp_path)
    by_hour = hours_of_events(world)
    tool = world.add("hook", Tool(), enabled=False)
    store = world.store()
    store.request_replay("hook", NOON, NOON + timedelta(hours=1))
    assert store.has_work()

    async def run() -> None:
        async with world.delivering():
            await until(lambda: store.replays()[0].state == "done")
            world.store_events(3)
            await until(lambda: not store.has_work())

    asyncio.run(run())
    assert sorted(tool.got) == sorted(by_hour[0])


def test_a_replay_survives_a_restart_and_retries(tmp_path: Path) -> None:
    world = World(tmp_path)
    by_hour = hours_of_events(world)
    failing = {by_hour[0][0], by_hour[2][5]}
    tool = Tool(lambda e: refused(503) if e["messageId"] in failing else TAKEN)
    world.add("hook", tool, enabled=False)
    store = world.store()
    store.request_replay("hook", NOON, NOON + timedelta(hours=6))
    slow = quick(replay_rate=100.0)

    async def run() -> None:
        async with world.delivering(slow):
            await until(lambda: len(tool.got) > 100)
        assert store.replays()[0].state == "running"
        assert 0 < store.replays()[0].progress < 1
        async with world.delivering():
            await until(lambda: store.replays()[0].delivered == 238)
            assert store.replays()[0].waiting == 2
            failing.clear()
            await until(lambda: store.replays()[0].state == "done")

    asyncio.run(run())
    assert sorted(set(tool.got)) == sorted(one for ids in by_hour.values() for one in ids)
    assert store.replays()[0].delivered == 240


def test_a_replay_can_be_cancelled(tmp_path: Path) -> None:
    world = World(tmp_path)
    hours_of_events(world)
    tool = world.add("hook", Tool(), enabled=False)
    store = world.store()
    number = store.request_replay("hook", NOON, NOON + timedelta(hours=6))

    async def run() -> None:
        bounds: Bounds = quick(replay_rate=10.0)
        async with world.delivering(bounds):
            await until(lambda: tool.got)
            assert store.cancel_replay(number)
            await until(lambda: not store.has_work())

    asyncio.run(run())
    assert len(tool.got) < 240
    assert not store.cancel_replay(number)
    assert store.replays()[0].state == "cancelled"


def test_a_replay_to_nowhere_fails_with_a_reason(tmp_path: Path) -> None:
    world = World(tmp_path)
    store = world.store()
    store.request_replay("nobody", NOON, NOON + timedelta(hours=6))

    async def run() -> None:
        async with world.delivering():
            await until(lambda: store.replays()[0].state == "failed")

    asyncio.run(run())
    assert "no such destination" in store.replays()[0].reason
