"""Events reach destinations, whatever those do, and what became of them is known."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from penstock.destinations.contract import Batch
from penstock.destinations.delivery import feed
from penstock.destinations.delivery.limits import Clocks
from penstock.destinations.model import Retrying
from penstock.destinations.sending.outcome import Outcome
from penstock.journal.contract import EVENTS
from tests.destinations.delivery.bench import TAKEN, Tool, World, balance, quick, refused, until


def test_what_is_stored_is_delivered_and_counted(tmp_path: Path) -> None:
    world = World(tmp_path)
    tool = world.add("hook", Tool())
    ids = world.store_events(30)
    store = world.store()

    async def run() -> None:
        async with world.delivering():
            await until(lambda: len(tool.got) == 30)
            ids.extend(world.store_events(5))
            await until(lambda: balance(store, "hook")["delivered"] == 35)

    asyncio.run(run())
    assert sorted(tool.got) == sorted(ids)
    (seen,) = store.overview()
    assert (seen.destination, seen.state, seen.delivered, seen.behind) == (
        "hook", "delivering", 35, 0,
    )  # fmt: skip
    assert seen.p95_seconds is not None
    assert world.journal.position("deliver:hook", EVENTS, 0) == 35


def test_filtered_and_invalid_events_are_told_apart(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("hook", Tool(places=2))
    world.store_events(3, integrations={"All": False})
    world.store_events(2, event="Invalid")
    world.store_events(4)
    store = world.store()

    async def run() -> None:
        async with world.delivering():
            await until(lambda: balance(store, "hook")["delivered"] == 8)

    asyncio.run(run())
    found = balance(store, "hook")
    assert found == {"more": 4, "delivered": 8, "filtered": 3, "waiting": 0, "dead": 2}
    letters = store.dead_letters("hook")
    assert [(one.kind, one.code, one.reason, one.count) for one in letters] == [
        ("discarded", "BAD", "no total", 1)
    ] * 2


def test_mixed_failures_wait_in_the_retry_table(tmp_path: Path) -> None:
    world = World(tmp_path)
    failing = {f"m{n}" for n in range(0, 40, 4)}
    tool = world.add("hook", Tool(lambda e: refused(503) if e["messageId"] in failing else TAKEN))
    world.store_events(40)
    store = world.store()

    async def run() -> None:
        async with world.delivering():
            await until(lambda: balance(store, "hook")["waiting"] == 10)
            assert balance(store, "hook")["delivered"] == 30
            assert world.journal.position("deliver:hook", EVENTS, 0) == 40 or await until(
                lambda: world.journal.position("deliver:hook", EVENTS, 0) == 40
            )
            failing.clear()
            await until(lambda: balance(store, "hook")["delivered"] == 40)

    asyncio.run(run())
    assert sorted(tool.got) == sorted(f"m{n}" for n in range(40))
    assert balance(store, "hook")["waiting"] == 0


def test_a_tool_that_is_down_leaves_its_events_in_the_journal(tmp_path: Path) -> None:
    world = World(tmp_path)
    down = [True]
    sick = world.add("sick", Tool(lambda _: refused(0) if down[0] else TAKEN))
    well = world.add("well", Tool())
    world.store_events(500)
    store = world.store()

    async def run() -> None:
        async with world.delivering():
            await until(lambda: store.overview("sick") and
                        store.overview("sick")[0].state == "broken")  # fmt: skip
            await until(lambda: len(well.got) == 500)
            tried = len(sick.tried)
            await asyncio.sleep(0.5)
            assert len(sick.tried) - tried <= 12, "more than the probes"
            assert balance(store, "sick")["waiting"] == 0
            assert world.journal.position("deliver:sick", EVENTS, 0) < 10
            down[0] = False
            await until(lambda: balance(store, "sick")["delivered"] == 500)

    asyncio.run(run())
    assert sorted(set(sick.got)) == sorted(well.got)
    assert len(sick.got) == 500


def test_what_a_tool_never_takes_is_a_dead_letter_at_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    tool = world.add("hook", Tool(lambda _: refused(400)))
    world.store_events(150)
    store = world.store()

    async def run() -> None:
        async with world.delivering():
            await until(lambda: balance(store, "hook")["dead"] == 150)

    asyncio.run(run())
    assert len(tool.tried) == 150
    letters = store.dead_letters("hook", limit=1000)
    assert sum(one.count for one in letters) == 150
    whole = [one for one in letters if one.request]
    assert len(whole) == 100
    assert {one.code for one in letters} == {"400"}
    assert whole[0].answer is not None and '"no"' in whole[0].answer


def test_batches_fill_up_and_fail_by_item(tmp_path: Path) -> None:
    world = World(tmp_path)
    odd = {"m7"}
    tool = world.add(
        "hook",
        Tool(lambda e: refused(400) if e["messageId"] in odd else TAKEN, Batch(50, wait=0.1)),
    )
    world.store_events(120)
    store = world.store()

    async def run() -> None:
        async with world.delivering():
            await until(lambda: balance(store, "hook")["delivered"] == 119)

    asyncio.run(run())
    assert sorted(tool.calls) == [20, 50, 50]
    (letter,) = store.dead_letters("hook")
    assert letter.message_id == "m7"


def test_the_retry_table_is_bounded(tmp_path: Path) -> None:
    world = World(tmp_path)
    healthy = [False]
    tool = world.add(
        "hook",
        Tool(lambda e: TAKEN if healthy[0] or int(e["messageId"][1:]) % 3 else refused(500)),
    )
    world.store_events(9_000)
    store = world.store()

    async def run() -> None:
        async with world.delivering(quick(retries=50, first_wait=3600.0)):
            await until(lambda: [one.state for one in store.overview()] == ["full"])
            await asyncio.sleep(0.3)
            assert store.overview()[0].waiting == 50
            assert world.journal.position("deliver:hook", EVENTS, 0) < 9_000
            healthy[0] = True
        async with world.delivering(quick(retries=50)):
            await until(lambda: len(set(tool.got)) >= 8_000)

    asyncio.run(run())


def test_what_a_tool_was_away_too_long_for_is_dead_and_can_be_retried(tmp_path: Path) -> None:
    world = World(tmp_path)
    down = [True]
    tool = Tool(lambda _: refused(503) if down[0] else TAKEN)
    world.add("hook", tool, delivery=Retrying(window=1.0))
    ids = world.store_events(3_000)
    store = world.store()

    async def run() -> None:
        async with world.delivering():
            await until(lambda: balance(store, "hook")["dead"] == 3_000)
            assert world.journal.position("deliver:hook", EVENTS, 0) == 3_000 or await until(
                lambda: world.journal.position("deliver:hook", EVENTS, 0) == 3_000
            )
            assert len(tool.tried) < 300, "most were given up without a try"
            letters = store.dead_letters("hook", limit=1000)
            assert {(one.kind, one.code) for one in letters} == {("failed", "503")}
            assert sum(one.count for one in letters) == 3_000
            down[0] = False
            later = world.store_events(1)
            await until(lambda: later[0] in tool.got)
            assert store.retry_dead("hook") == 3_000
            await until(lambda: balance(store, "hook")["delivered"] == 3_001)

    asyncio.run(run())
    assert sorted(tool.got) == sorted([*ids, "m3000"])
    assert balance(store, "hook") == {
        "more": 0, "delivered": 3_001, "filtered": 0, "waiting": 0, "dead": 0,
    }  # fmt: skip
    assert store.dead_letters("hook") == []


def test_order_is_kept_for_each_person_through_retries(tmp_path: Path) -> None:
    world = World(tmp_path)
    attempts: Counter[str] = Counter()

    def answer(event: dict[str, Any]) -> Outcome:
        attempts[event["messageId"]] += 1
        fails = int(event["messageId"][1:]) % 5 == 0 and attempts[event["messageId"]] < 3
        return refused(503) if fails else TAKEN

    tool = world.add("hook", Tool(answer), delivery=Retrying(ordered=True))
    people: dict[str, list[str]] = {}
    for n in range(60):
        people.setdefault(f"p{n % 6}", []).extend(world.store_events(1, userId=f"p{n % 6}"))
    store = world.store()

    async def run() -> None:
        async with world.delivering():
            await until(lambda: balance(store, "hook")["delivered"] == 60)

    asyncio.run(run())
    assert tool.overlaps == 0
    for ids in people.values():
        assert [one for one in tool.got if one in ids] == ids


def test_a_setup_that_changes_is_taken_up_while_others_go_on(tmp_path: Path) -> None:
    world = World(tmp_path)
    first = world.add("hook", Tool())
    other = world.add("other", Tool())
    store = world.store()

    async def run() -> None:
        async with world.delivering():
            world.store_events(10)
            await until(lambda: len(first.got) == 10 == len(other.got))
            second = world.tools["hook"] = Tool()
            world.change("hook", name="New")
            await until(lambda: world.made[-1].name == "New")
            other.hanging = asyncio.Event()
            world.store_events(10)
            await until(lambda: len(second.got) == 10)
            other.hanging.set()
            await until(lambda: len(other.got) == 20)
            world.change("hook", enabled=False)
            await until(lambda: store.overview("hook")[0].state == "stopped")
            await until(lambda: world.journal.position("deliver:hook", EVENTS, 0) == 0)
            world.store_events(10)
            await until(lambda: len(other.got) == 30)
            since = time.time_ns() // 1000
            world.all["hook"] = replace(world.all["hook"], since_us=since)
            world.change("hook", enabled=True)
            world.store_events(10)
            await until(lambda: len(second.got) == 20)

    asyncio.run(run())
    assert len(first.got) == 10
    assert [int(one[1:]) for one in world.tools["hook"].got] == [*range(10, 20), *range(30, 40)]


def test_a_setup_that_cant_be_used_keeps_its_events(tmp_path: Path) -> None:
    world = World(tmp_path)
    tool = world.add("hook", Tool(), settings={"broken": True})
    well = world.add("well", Tool())
    world.store_events(10)
    store = world.store()

    async def run() -> None:
        async with world.delivering():
            await until(lambda: len(well.got) == 10)
            await until(lambda: store.overview("hook"))
            assert store.overview("hook")[0].reason == "the setting `url` is missing"
            world.change("hook", settings={})
            await until(lambda: len(tool.got) == 10)

    asyncio.run(run())


def test_what_is_waiting_for_a_removed_destination_is_kept_as_dead_letters(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add("hook", Tool(lambda e: TAKEN if int(e["messageId"][1:]) % 2 else refused(500)))
    world.store_events(20)
    store = world.store()

    async def run() -> None:
        async with world.delivering(quick(first_wait=3600.0)):
            await until(lambda: balance(store, "hook")["waiting"] == 10)
            world.remove("hook")
            await until(lambda: balance(store, "hook")["dead"] == 10)
            assert not store.has_work()

    asyncio.run(run())
    (letter,) = store.dead_letters("hook")
    assert (letter.code, letter.count) == ("DESTINATION_REMOVED", 10)
    assert world.journal.position("deliver:hook", EVENTS, 0) == 0


def test_a_new_destination_begins_when_it_was_made(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.store_events(10)
    tool = world.add("hook", Tool(), since_us=time.time_ns() // 1000)
    made_after = world.store_events(5)

    async def run() -> None:
        async with world.delivering():
            await until(lambda: len(tool.got) == 5)

    asyncio.run(run())
    assert sorted(tool.got) == sorted(made_after)


def test_a_clock_that_was_set_back_stalls_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    failing = {f"m{n}" for n in range(0, 20, 2)}
    tool = world.add("hook", Tool(lambda e: refused(503) if e["messageId"] in failing else TAKEN))
    ids = world.store_events(20)
    store = world.store()
    ahead_us = 3 * 86_400 * 1_000_000
    fast = Clocks(time.monotonic, lambda: time.time_ns() // 1000 + ahead_us)

    async def run() -> None:
        async with world.delivering(clocks=fast):
            await until(lambda: balance(store, "hook")["waiting"] == 10)
        failing.clear()
        ids.extend(world.store_events(5))
        async with world.delivering():
            await until(lambda: balance(store, "hook")["delivered"] == 25)

    asyncio.run(run())
    assert sorted(tool.got) == sorted(ids)
    assert balance(store, "hook")["dead"] == 0


def test_what_is_filtered_behind_a_slow_event_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "_MOST_READ", 300)
    world = World(tmp_path)
    tool = world.add("hook", Tool())
    world.store_events(1)
    world.store_events(2_000, integrations={"All": False})
    store = world.store()

    async def run() -> None:
        tool.hanging = asyncio.Event()
        async with world.delivering():
            await until(lambda: len(tool.routed) >= 300)
            await asyncio.sleep(0.3)
            assert len(tool.routed) <= 301
            tool.hanging.set()
            await until(lambda: balance(store, "hook")["filtered"] == 2_000)

    asyncio.run(run())
