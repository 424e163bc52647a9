"""All measurements, one after the other."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from penstock.bench.deliver import (
    compare,
    mapping_rate,
    with_sick_tools,
)
from penstock.bench.events import single_body, templates
from penstock.bench.limits import append_limit, parse_limit
from penstock.bench.operations import api_latency, monitoring_cost, snapshot_stall
from penstock.bench.parts import (
    accept_rate,
    append_rate,
    load_rate,
    monitor_rate,
    process_rate,
    sample_block,
)
from penstock.bench.profiles import audience_cost, entered_latency, streamed
from penstock.bench.system import accepting, at_rest, end_to_end, freshness

__all__ = ["Figure", "Suite"]

PARSE = "orjson parse"
APPEND = "append + fdatasync"
_STREAM = "profiles: 50 traits and 100 audiences"
_COST = "profiles: 1,000 audiences"
_ENTERED = "profiles: Audience Entered p99 at 5 K/s"
_EVENTS = 100_000


@dataclass(frozen=True)
class Figure:
    """One measurement."""

    name: str
    value: float
    unit: str
    target: str = ""
    limit: str = ""
    """Which limit ``ratio`` is to."""
    ratio: float | None = None
    note: str = ""


class Suite:
    """Measures what ``only`` selects, in a folder."""

    def __init__(
        self,
        folder: Path,
        *,
        seconds: float,
        sustain: float,
        keys: int,
        gigabytes: float,
        people: int,
        only: str,
        say: Callable[[str], None],
    ) -> None:
        self._folder = folder
        self._seconds = seconds
        self._sustain = sustain
        self._keys = keys
        self._gigabytes = gigabytes
        self._people = people
        self._only = only
        self._say = say
        self._figures: list[Figure] = []
        self._limits: dict[str, float] = {}

    def names(self) -> list[str]:
        """Every measurement that ``only`` can select."""
        return [
            "decode, stamp, encode", "journal append",
            f"process, {self._keys / 1e6:g} M keys known", "monitor",
            "load, 60 tables", "load, 500 tables", "single accepts per core",
            "batched accepts per core", "end to end", "freshness", "memory at rest",
            "monitoring on", "API p95", "snapshot",
            "deliver: map to ten fields", "deliver: one event a request",
            "deliver: 100 events a request", "deliver: eight tools beside two sick ones",
            _STREAM, _COST, _ENTERED,
        ]  # fmt: skip

    def run(self) -> list[Figure]:
        """The limits of this machine, then everything as a ratio to them."""
        cut = templates(60)
        short = min(self._seconds, 3)
        self._limits[PARSE] = parse_limit([single_body(cut, n, "m") for n in range(500)], short)
        self._limits[APPEND] = append_limit(self._folder, *sample_block(), short)
        for name, value in self._limits.items():
            self._figures.append(Figure(f"limit: {name}", value, "events/s"))
        self._parts()
        self._system()
        return self._figures

    def _parts(self) -> None:
        seconds, keys = self._seconds, self._keys
        self._add("decode, stamp, encode", PARSE, lambda _: accept_rate(seconds))
        self._add("journal append", APPEND, lambda folder: append_rate(folder, seconds))
        self._add(
            f"process, {keys / 1e6:g} M keys known",
            APPEND,
            lambda folder: process_rate(folder, keys, 200_000, self._say),
        )
        self._add("monitor", PARSE, lambda folder: monitor_rate(folder, 400_000))
        self._add("load, 60 tables", PARSE, lambda folder: load_rate(folder, 60, 3))
        self._add("load, 500 tables", PARSE, lambda folder: load_rate(folder, 500, 2))

    def _system(self) -> None:
        seconds = self._seconds
        self._add(
            "single accepts per core",
            PARSE,
            lambda folder: accepting(folder, batch=1, connections=128, seconds=seconds).per_core,
            target="15,000",
        )
        self._add(
            "batched accepts per core",
            PARSE,
            lambda folder: accepting(folder, batch=100, connections=16, seconds=seconds).per_core,
            target="150,000",
        )
        if self._wanted("end to end"):
            self._end_to_end()
        if self._wanted("freshness"):
            median, late = freshness(self._sub(), 10_000, max(seconds, 20))
            self._figures.append(Figure("freshness p50 at 10 K/s", median, "s", "< 2"))
            self._figures.append(Figure("freshness p99 at 10 K/s", late, "s"))
        if self._wanted("memory at rest"):
            rest = at_rest(self._sub())
            note = ", ".join(f"{label} {mb:.0f}" for label, mb in rest.items())
            total = sum(rest.values())
            self._figures.append(Figure("memory at rest", total, "MB", "< 300", note=note))
        self._operations()
        self._deliveries()
        self._profiles()

    def _profiles(self) -> None:
        unit = "events/s per core"
        if self._wanted(_STREAM):
            found = streamed(self._sub(), self._people, _EVENTS)
            told = f"{found.told:.2f} changes told an event"
            for name, rate, target, note in (
                ("new people", found.new, "", ""),
                ("cold", found.cold, "", ""),
                ("warm", found.warm, "15,000", told),
            ):
                ratio = rate / self._limits[PARSE]
                self._figures.append(
                    Figure(f"{_STREAM}, {name}", rate, unit, target, PARSE, ratio, note)
                )
            self._figures.append(
                Figure("profiles: size of one", found.bytes_per_profile, "bytes on disk")
            )
        if self._wanted(_COST):
            rates = audience_cost(self._sub(), min(self._people, _EVENTS), _EVENTS)
            ratio = rates[1_000] / rates[10]
            note = f"100: {rates[100]:,.0f}"
            self._figures.append(Figure(_COST, rates[1_000], unit, "flat", "10", ratio, note))
        if self._wanted(_ENTERED):
            median, late = entered_latency(self._sub(), 5_000, max(self._seconds, 20))
            self._figures.append(Figure(_ENTERED, late, "s", "< 2", note=f"p50 {median:.2f} s"))

    def _deliveries(self) -> None:
        if self._wanted("deliver: map to ten fields"):
            rate = mapping_rate(self._seconds)
            self._figures.append(
                Figure("deliver: map to ten fields", rate, "events/s per core", "50,000", PARSE,
                       rate / self._limits[PARSE])
            )  # fmt: skip
        for name, batch, events in (
            ("deliver: one event a request", 1, 30_000),
            ("deliver: 100 events a request", 100, 200_000),
        ):
            if self._wanted(name):
                found = compare(self._sub(), events, batch)
                rate, limit = found.delivered, "the HTTP client alone"
                note = f"{rate / found.decoding:.3f} of the client when it decodes the events, too"
                self._figures.append(
                    Figure(name, rate, "events/s per core", "0.7", limit, rate / found.bare, note)
                )
        name = "deliver: eight tools beside two sick ones"
        if self._wanted(name):
            sick = with_sick_tools(self._sub(), 10_000)
            note = (
                f"in {sick.seconds:.0f} s {sick.hanging} requests to the one that hangs, "
                f"{sick.failing} to the one that fails; memory {sick.memory_mb[0]:.0f} to "
                f"{max(sick.memory_mb):.0f} MB; store {sick.store_bytes / 1e6:.1f} MB"
            )
            ratio = sick.beside / sick.alone
            self._figures.append(
                Figure(name, sick.beside, "events/s", "0.95", "without them", ratio, note)
            )

    def _operations(self) -> None:
        if self._wanted("monitoring on"):
            cost = monitoring_cost(self._sub(), max(self._seconds, 10))
            self._figures.append(Figure("limit: monitoring off", cost.alone, "events/s"))
            ratio = cost.watched / cost.alone
            self._figures.append(
                Figure("monitoring on", cost.watched, "events/s", "0.95", "off", ratio)
            )
        if self._wanted("API p95"):
            median, late = api_latency(self._sub(), 10_000, max(self._seconds, 20))
            note = f"p50 {median * 1000:.1f} ms"
            self._figures.append(Figure("API p95 at 10 K/s", late * 1000, "ms", "< 50", note=note))
        if self._wanted("snapshot"):
            stall = snapshot_stall(self._sub(), self._gigabytes, 5_000)
            note = f"{stall.gigabytes:.1f} GB in {stall.seconds:.1f} s; usual {stall.usual:.2f} s"
            self._figures.append(
                Figure("snapshot, longest stop of loading", stall.during, "s", "< 1", note=note)
            )

    def _end_to_end(self) -> None:
        whole = end_to_end(self._sub(), self._sustain)
        ratio = whole.rate / self._limits[PARSE]
        name = f"end to end, {whole.seconds:.0f} s"
        self._figures.append(Figure(name, whole.rate, "events/s", "30,000", PARSE, ratio))
        for label, samples in whole.memory_mb.items():
            third = len(samples) // 3
            note = f"by thirds: {', '.join(f'{max(p):.0f}' for p in _thirds(samples, third))}"
            self._figures.append(Figure(f"memory, {label}", max(samples), "MB", "flat", note=note))

    def _add(
        self, name: str, limit: str, measure: Callable[[Path], float], *, target: str = ""
    ) -> None:
        if not self._wanted(name):
            return
        folder = self._sub()
        value = measure(folder)
        shutil.rmtree(folder)  # or five minutes of events and 50 M keys fill the disk
        ratio = value / self._limits[limit]
        self._figures.append(Figure(name, value, "events/s", target, limit, ratio))

    def _wanted(self, name: str) -> bool:
        if self._only not in name:
            return False
        self._say(f"measuring: {name}")
        return True

    def _sub(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self._folder))


def _thirds(samples: list[float], third: int) -> list[list[float]]:
    if not third:
        return [samples]
    return [samples[:third], samples[third : 2 * third], samples[2 * third :]]
