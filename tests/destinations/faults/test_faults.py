"""A tool that misbehaves in every way, and a deliver process that dies: nothing is lost."""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from penstock.destinations.model import MappingSetup
from tests.destinations.faults.rig import Rig, until

log = logging.getLogger(__name__)
FAULTS = ("hang", "reset", "429", "500", "503", "307", "half")


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    made.sink_up()
    yield made
    made.close()


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_a_tool_does_its_events_arrive_in_the_end(rig: Rig, fault: str) -> None:
    rig.destine("first")
    rig.destine("second")
    ids = rig.store_events(40)
    rig.deliver()
    until(lambda: rig.ledger("first")["delivered"] == 40)
    rig.behave(fault)
    ids += rig.store_events(60)
    if fault != "307":  # which is followed, so there is no fault to wait for
        until(lambda: rig.store.overview("first")[0].state == "broken")
    rig.behave("ok")
    for slug in ("first", "second"):
        rig.delivers(slug, 100)
        found = rig.taken().of(f"/{slug}")
        assert set(found) == set(ids), "each arrives, and only where it should"
        assert rig.ledger(slug) == {"delivered": 100, "filtered": 0, "waiting": 0, "dead": 0}
    assert set(rig.taken().ids) == {"/first", "/second"}


def test_what_is_lost_to_a_long_outage_is_known_and_can_be_sent_again(rig: Rig) -> None:
    rig.destine("hook", window=3.0)
    before = rig.store_events(30)
    rig.deliver()
    until(lambda: rig.ledger("hook")["delivered"] == 30)
    rig.sink_down()
    missing = rig.store_events(500)
    until(lambda: rig.ledger("hook")["dead"] == 500)
    letters = rig.store.dead_letters("hook", limit=1000)
    assert sum(one.count for one in letters) == 500
    assert {one.kind for one in letters} == {"failed"}
    assert all(one.answer and "request" not in (one.reason or "") for one in letters if one.request)
    rig.sink_up()
    after = rig.store_events(30)
    until(lambda: rig.ledger("hook")["delivered"] == 60)
    assert set(rig.taken().of("/hook")) == {*before, *after}
    assert rig.store.retry_dead("hook") == 500
    until(lambda: rig.ledger("hook")["delivered"] == 560)
    found = rig.taken().of("/hook")
    assert set(found) == {*before, *missing, *after}
    assert {one: found[one] for one in missing} == dict.fromkeys(missing, 1)
    assert rig.ledger("hook") == {"delivered": 560, "filtered": 0, "waiting": 0, "dead": 0}


def test_a_replay_of_the_outage_delivers_what_was_missing(rig: Rig) -> None:
    rig.destine("hook", window=2.0)
    before = rig.store_events(30)
    rig.deliver()
    until(lambda: rig.ledger("hook")["delivered"] == 30)
    rig.sink_down()
    began = datetime.now(UTC)
    missing = rig.store_events(200)
    until(lambda: rig.ledger("hook")["dead"] == 200)
    over = datetime.now(UTC)
    rig.sink_up()
    rig.store.request_replay("hook", began, over)
    until(lambda: rig.store.replays()[0].state == "done")
    found = rig.taken().of("/hook")
    assert set(found) == {*before, *missing}
    assert {one: found[one] for one in missing} == dict.fromkeys(missing, 1)


def _survive(rig: Rig, kills: int, each: int) -> None:
    """Kill again and again while the sink does all it can; then everything has arrived."""
    chance = random.Random(3)
    rig.destine("hook")
    rig.destine("batched", mappings=(MappingSetup("send", batching=True, batch_size=25),))
    rig.deliver()
    ids: list[str] = []
    for number in range(kills):
        rig.behave(chance.choice([*FAULTS, "mixed", "ok"]) if number else "slow")
        ids += rig.store_events(each)
        if not number:
            until(lambda: len(rig.taken().of("/hook")) > 20)
        time.sleep(chance.uniform(0.3, 2.0) if number else 0.1)
        rig.kill()
        if number % 5 == 4:
            rig.sink_down()
            time.sleep(chance.uniform(0.1, 1.0))
            rig.sink_up()
    rig.behave("ok")
    again = 0
    for slug in ("hook", "batched"):
        rig.delivers(slug, len(ids), 180.0)
        found = rig.taken().of(f"/{slug}")
        assert set(found) == set(ids), "at least once, and nowhere else"
        twice = sum(found.values()) - len(ids)
        again += twice
        log.warning("%s: %d kills, %d events, %d again", slug, rig.kills, len(ids), twice)
        assert rig.ledger(slug) == {
            "delivered": len(ids), "filtered": 0, "waiting": 0, "dead": 0,
        }  # fmt: skip
        assert rig.passed(slug) == len(ids)
    assert again > 0, "what was on its way at a kill is sent again, with the same id"
    rows = rig.balance()
    assert sum(row.passed for row in rows) == 2 * len(ids)
    assert [row for row in rows if row.missing] == []


def test_events_survive_a_deliver_process_that_is_killed(rig: Rig) -> None:
    _survive(rig, 6, 100)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not os.environ.get("PENSTOCK_SOAK"), reason="PENSTOCK_SOAK=1 runs it")
def test_events_survive_thirty_kills(rig: Rig) -> None:
    _survive(rig, 30, 400)
