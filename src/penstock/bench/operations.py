"""What looking after Penstock costs while events come in."""

from __future__ import annotations

import http.client
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb

from penstock.backup.snapshot import publish
from penstock.bench.client import Flood
from penstock.bench.events import batch_body, templates
from penstock.bench.system import KEY, TABLES, engine_settings, running, wait_for_port
from penstock.bench.watching import Progress
from penstock.engine import Engine
from penstock.errors import PenstockError
from penstock.settings import Settings

__all__ = ["MonitoringCost", "Stall", "api_latency", "monitoring_cost", "snapshot_stall"]

_WATCHING = ("monitor", "api")
_PATHS = ("/api/v1/status", "/api/v1/sources", "/api/v1/schema", "/api/v1/rejected?limit=20")
_PAUSE_S = 0.02
_MOST_WAITING = 150_000


@dataclass(frozen=True)
class MonitoringCost:
    """Events loaded a second, with what watches running and with it halted."""

    watched: float
    alone: float


def monitoring_cost(folder: Path, seconds: float, turns: int = 4) -> MonitoringCost:
    """End to end in one engine, in turns with the monitor and the API halted and running."""
    counts = {True: 0, False: 0}
    spent = {True: 0.0, False: 0.0}
    with running(folder) as (engine, settings):
        loaded = Progress(settings)
        cut = templates(TABLES)
        flood = Flood(
            settings.port, "/v1/batch", KEY,
            lambda first, count: batch_body(cut, first, count, "o"), count=100, connections=8,
        )  # fmt: skip
        flood.run(5.0, lambda _: loaded.count + _MOST_WAITING)
        for turn in range(2 * turns):
            watched = turn % 4 in (1, 2)
            (engine.resume if watched else engine.pause)(_WATCHING)
            if watched:
                flood.run(seconds / 2, lambda _: loaded.count + _MOST_WAITING)  # it catches up
            before = loaded.count
            spent[watched] += flood.run(seconds, lambda _: loaded.count + _MOST_WAITING)
            counts[watched] += loaded.count - before
        engine.resume(_WATCHING)
        flood.close()
        loaded.stop()
    return MonitoringCost(counts[True] / spent[True], counts[False] / spent[False])


def api_latency(folder: Path, per_second: int, seconds: float) -> tuple[float, float]:
    """Median and 95th percentile of seconds of an API request while events come in at a pace."""
    times: list[float] = []
    with running(folder) as (_, settings):
        cut = templates(TABLES)
        flood = Flood(
            settings.port, "/v1/batch", KEY,
            lambda first, count: batch_body(cut, first, count, "p"), count=50, connections=4,
        )  # fmt: skip
        flood.run(3.0, lambda elapsed: int(elapsed * per_second))
        start = flood.sent
        failures: list[str] = []
        asking = threading.Thread(target=_ask_api, args=(settings, seconds, times, failures))
        asking.start()
        flood.run(seconds, lambda elapsed: start + int(elapsed * per_second))
        asking.join()
        flood.close()
    if failures or not times:
        raise PenstockError(f"the management API did not answer: {failures}")
    times.sort()
    return times[len(times) // 2], times[int(len(times) * 0.95)]


def _ask_api(settings: Settings, seconds: float, times: list[float], failures: list[str]) -> None:
    """Ask one thing after the other, with a pause between."""
    token = settings.token_file.read_text(encoding="ascii")
    headers = {"Authorization": f"Bearer {token}"}
    connection = http.client.HTTPConnection("127.0.0.1", settings.console_port, timeout=30)
    until = time.perf_counter() + seconds
    number = 0
    while time.perf_counter() < until:
        began = time.perf_counter()
        connection.request("GET", _PATHS[number % len(_PATHS)], headers=headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            failures.append(f"{_PATHS[number % len(_PATHS)]}: {answer.status}")
            break
        times.append(time.perf_counter() - began)
        number += 1
        time.sleep(_PAUSE_S)
    connection.close()


@dataclass(frozen=True)
class Stall:
    """Longest time in seconds in which nothing was loaded."""

    usual: float
    """Before the snapshot."""
    during: float
    gigabytes: float
    """Size of the snapshot."""
    seconds: float
    """How long it took to make."""


def snapshot_stall(folder: Path, gigabytes: float, per_second: int) -> Stall:
    """Load at a pace into a warehouse of so many gigabytes, and make a snapshot meanwhile."""
    settings = engine_settings(folder)
    _fill(settings.warehouse_file, gigabytes)
    engine = Engine(settings, say=lambda _: None)
    engine.start()
    made: list[tuple[float, int]] = []
    try:
        wait_for_port(settings.port)
        loaded = Progress(settings)
        cut = templates(TABLES)
        flood = Flood(
            settings.port, "/v1/batch", KEY,
            lambda first, count: batch_body(cut, first, count, "s"), count=50, connections=4,
        )  # fmt: skip
        flood.run(15.0, lambda elapsed: int(elapsed * per_second))
        usual = loaded.longest_pause(since=time.perf_counter() - 10)

        def make() -> None:
            began = time.perf_counter()
            snapshot = publish(settings, folder / "snapshot.duckdb")
            made.append((time.perf_counter() - began, snapshot.bytes))

        began, start = time.perf_counter(), flood.sent
        making = threading.Thread(target=make)
        making.start()
        while making.is_alive():
            flood.run(1.0, lambda _: start + int((time.perf_counter() - began) * per_second))
        during = loaded.longest_pause(since=began)
        flood.close()
        loaded.stop()
    finally:
        engine.stop()
    ((seconds, size),) = made
    return Stall(usual, during, size / 1e9, seconds)


def _fill(file: Path, gigabytes: float) -> None:
    """Make a warehouse file of that size, of what does not compress."""
    connection = duckdb.connect(str(file))
    connection.execute("CREATE SCHEMA bench")
    rows = int(gigabytes * 1e9 / 8)
    connection.execute(
        f"CREATE TABLE bench.ballast AS SELECT hash(i)::UBIGINT AS n FROM range({rows}) t(i)"
    )
    connection.close()
