"""Processes are killed at random while events come in; every promise made must be kept."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest
from tests.recovery.traffic import (
    WORKSPACE,
    Traffic,
    assert_kept,
    assert_ledger_balances,
    wait_until_loaded,
)
from tests.running import PenstockDiedError, RunningPenstock

MUST_DIE = {"collector", "process", "warehouse"}
"""Roles of which a long run kills each; who runs at a moment is a matter of chance."""
SEED = int(os.environ.get("PENSTOCK_TEST_SEED", "1"))


def roles(penstock: RunningPenstock) -> dict[int, str]:
    """Name of each role's process, by process id."""
    found = {}
    pid = penstock.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    for child in children:
        try:
            words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        except FileNotFoundError:
            continue
        if b"penstock.roles" in words:
            found[int(child)] = words[words.index(b"penstock.roles") + 1].decode()
    return found


def kill_something(penstock: RunningPenstock, chance: random.Random) -> str:
    """Kill one role, or now and then everything at once; a killed engine is started again."""
    if chance.random() < 0.15:
        penstock.kill()
        start_again(penstock)
        return "all"
    if chance.random() < 0.1:
        os.kill(penstock.pid, signal.SIGKILL)  # the supervisor alone: its roles must end too
        penstock.await_end()
        start_again(penstock)
        return "supervisor"
    running = roles(penstock)
    if not running:
        return "none"
    pid = chance.choice(sorted(running))
    os.kill(pid, signal.SIGKILL)
    return running[pid]


def start_again(penstock: RunningPenstock) -> None:
    """Start it while roles of the one before may be ending; slow ones keep the port for a while."""
    deadline = time.monotonic() + 60
    while True:
        try:
            penstock.start()
            return
        except PenstockDiedError as died:
            if "can't listen" not in str(died) or time.monotonic() > deadline:
                raise


def run(folder: Path, kills: int, pause: tuple[float, float], workers: int) -> None:
    """Send, kill, and check."""
    chance = random.Random(SEED)
    penstock = RunningPenstock(folder, settings={"PENSTOCK_WORKERS": str(workers)})
    penstock.apply(WORKSPACE)
    killed: dict[str, int] = {}
    try:
        penstock.start()
        traffic = Traffic(penstock.port, clients=4, seed=SEED)
        traffic.start()
        while sum(killed.values()) < kills or (kills >= 12 and not killed.keys() >= MUST_DIE):
            time.sleep(chance.uniform(*pause))
            name = kill_something(penstock, chance)
            killed[name] = killed.get(name, 0) + (name != "none")
        while traffic.acknowledged() <= 20 * kills:
            time.sleep(0.1)
        promises = traffic.stop()
        wait_until_loaded(penstock)
        assert_kept(penstock, promises)
        assert_ledger_balances(penstock, promises)
        print(f"\nkilled {killed}: {len(promises.acknowledged)} acknowledged, "  # noqa: T201
              f"{len(promises.doubtful)} in doubt, {len(promises.refused)} refused")  # fmt: skip
        assert len(promises.acknowledged) > 20 * kills
        assert promises.refused
    finally:
        penstock.close()


def test_nothing_is_lost_or_doubled_when_processes_are_killed(tmp_path: Path) -> None:
    run(tmp_path, kills=14, pause=(0.2, 1.5), workers=2)


@pytest.mark.soak
def test_two_hundred_kills(tmp_path: Path) -> None:
    run(tmp_path, kills=220, pause=(0.1, 2.5), workers=2)
