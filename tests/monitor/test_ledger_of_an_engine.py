"""The ledger of a running Penstock: zero, or the name of the stage that lost an event."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path

import pytest

from tests.recovery.traffic import (
    KEY,
    WORKSPACE,
    Traffic,
    assert_ledger_balances,
    settled_ledger,
)
from tests.running import RunningPenstock

LOSING = Path(__file__).parents[1] / "recovery" / "one_lost"


@pytest.mark.parametrize(
    ("where", "stage"),
    [
        ("acceptor", "collector"),
        ("committer", "collector"),
        ("dedupe", "process"),
        ("staging", "warehouse"),
    ],
)
def test_one_event_lost_in_a_stage_is_told_with_the_stage(
    tmp_path: Path, where: str, stage: str
) -> None:
    penstock = RunningPenstock(
        tmp_path, settings={"PYTHONPATH": str(LOSING), "PENSTOCK_TEST_LOSE": where}
    )
    penstock.apply(WORKSPACE)
    try:
        penstock.start()
        for first in range(0, 30, 10):
            send(penstock, [f"kept-{n}" for n in range(first, first + 10)])
        send(penstock, ["kept-a", "lost-1", "kept-b"])
        send(penstock, ["kept-c"])
        rows = settled_ledger(penstock, accepted=34)
        assert [row.missing for row in rows if row.missing] == [{stage: 1}]
        assert sum(row.loaded for row in rows) == 33
    finally:
        penstock.close()


def test_it_balances_after_traffic_with_kills(tmp_path: Path) -> None:
    penstock = RunningPenstock(tmp_path)
    penstock.apply(WORKSPACE)
    try:
        penstock.start()
        traffic = Traffic(penstock.port, clients=3, seed=4)
        traffic.start()
        for _ in range(3):
            before = traffic.acknowledged()
            while traffic.acknowledged() < before + 1_000:
                time.sleep(0.05)
            penstock.kill()
            penstock.start()
        promises = traffic.stop()
        rows = assert_ledger_balances(penstock, promises)
        assert sum(row.duplicate for row in rows) > 0
        assert sum(row.rejected for row in rows) >= len(promises.refused)
    finally:
        penstock.close()


def send(penstock: RunningPenstock, ids: list[str]) -> None:
    events = [
        {"type": "track", "event": "Kind 1", "userId": "u", "messageId": name} for name in ids
    ]
    body = json.dumps({"writeKey": KEY, "batch": events}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{penstock.url}/v1/batch", body, headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 200
