"""Sending events on: mapping, delivery to a sink, and what sick tools cost the healthy ones."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from dataclasses import replace as changed
from pathlib import Path
from statistics import median

import msgspec

from penstock.bench.events import records
from penstock.bench.sink import Sink, sink
from penstock.bench.system import engine_settings
from penstock.bench.watching import cpu_seconds, memory_mb
from penstock.destinations.contract import Action, Call, Destination, Field, Request, Steps
from penstock.destinations.model import DestinationSetup, MappingSetup, Retrying
from penstock.destinations.route import Route
from penstock.engine import settings_as_json
from penstock.errors import PenstockError
from penstock.journal.contract import EVENTS, NewBlock
from penstock.journal.sqlite import SqliteJournal
from penstock.settings import Settings
from penstock.workspace.store import Workspace

__all__ = ["Compared", "Sick", "compare", "mapping_rate", "with_sick_tools"]

_PATIENCE_S = 300.0
_BLOCK = 500
_CONCURRENCY = 10
_WINDOW_S = 10.0
_TICK_S = 0.1


def _path(path: str) -> dict[str, str]:
    return {"@path": f"$.{path}"}


def _unsent(call: Call) -> Steps:
    yield Request("POST", "https://example.com/", json=call.payload)
    return None


_FIELDS = (
    Field("user_id", "User", default=_path("userId")),
    Field("device_id", "Device", default=_path("anonymousId")),
    Field("event", "Event", required=True, default=_path("event")),
    Field("time", "Time", "datetime", default=_path("timestamp")),
    Field("insert_id", "Id", default=_path("messageId")),
    Field("properties", "Properties", "object", default=_path("properties")),
    Field("price", "Price", "number", default=_path("properties.price")),
    Field("ip", "Address", default=_path("context.ip")),
    Field("user_agent", "User agent", default=_path("context.userAgent")),
    Field("campaign", "Campaign", default={
        "@if": {"exists": _path("context.campaign.name"), "then": _path("context.campaign.name"),
                "else": _path("context.page.referrer")},
    }),
)  # fmt: skip
_TOOL = Destination(
    "bench", "Bench", "Is measured.",
    actions=(Action("send", "Send", _unsent, trigger='type = "track"', fields=_FIELDS),),
)  # fmt: skip


def mapping_rate(seconds: float) -> float:
    """Decode, filter, match and map typical events to ten fields: events a second of a core."""
    trigger = 'type = "track" and event != "Order Completed"'
    setup = DestinationSetup("bench", "bench", mappings=(MappingSetup("send", trigger=trigger),))
    route = Route(_TOOL, setup)
    payloads = [record.payload for record in records(60, 0, 1_000)]
    decode = msgspec.json.decode
    done, began = 0, time.process_time()
    while (spent := time.process_time() - began) < seconds:
        for payload in payloads:
            if not route(decode(payload), "bench").planned:
                raise PenstockError("the mapping made nothing")
        done += len(payloads)
    return done / spent


@dataclass(frozen=True)
class Compared:
    """Delivery beside the HTTP client alone, in events a second of the sending process's time."""

    delivered: float
    bare: float
    """The client encodes the same events as the same bodies, and posts them."""
    decoding: float
    """The client does that with events that it decodes from the journal's bytes before."""


def compare(folder: Path, events: int, batch: int, rounds: int = 3) -> Compared:
    """The medians of some rounds, in turns: what else the machine does comes to all alike."""
    found: list[tuple[float, float, float]] = []
    for number in range(rounds):
        place = folder / str(number)
        place.mkdir()
        bare = [_bare_rate(events, batch, decode=decode) for decode in (False, True)]
        found.append((_delivered_rate(place, events, batch), bare[0], bare[1]))
    return Compared(*(median(rates) for rates in zip(*found, strict=True)))


def _bare_rate(events: int, batch: int, *, decode: bool) -> float:
    with sink() as tool:
        command = [
            sys.executable, "-m", "penstock.bench.bare",
            tool.url, str(events), str(batch), "decode" if decode else "encode",
        ]  # fmt: skip
        told = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(told.stdout)


def _delivered_rate(folder: Path, events: int, batch: int) -> float:
    """One webhook, from the journal, by the role ``deliver``."""
    with sink() as tool:
        setup = _webhook("one", f"{tool.url}/ok", batch)
        with _delivering(folder, [setup], events) as (child, write):
            before = cpu_seconds(child.pid)
            write()
            _all_came(tool, ["/ok"], events)
            return events / (cpu_seconds(child.pid) - before)


@dataclass
class Sick:
    """Eight healthy tools with two sick ones beside them, and without."""

    alone: float
    """Events a second that reach the eight together, nothing sick beside them."""
    beside: float
    hanging: int
    """Requests to the tool that hangs."""
    failing: int
    """Requests to the tool that answers 500."""
    seconds: float = 0.0
    memory_mb: list[float] = field(default_factory=list)
    """Of the process, sampled each second."""
    store_bytes: int = 0
    """What the retry table and the counts take on disk afterwards."""


def with_sick_tools(folder: Path, events: int) -> Sick:
    """The same events to eight webhooks, with and without one that hangs and one that fails.

    The sick run goes on for longer than the time for which a failed event is tried again.
    """
    healthy = [f"/ok{number}" for number in range(8)]
    rates: list[float] = []
    found = Sick(0, 0, 0, 0)
    for number, sick in enumerate(((), ("/hang", "/fail"))):
        with sink() as tool:
            paths = [*healthy, *sick]
            setups = [_webhook(path[1:], tool.url + path, 1) for path in paths]
            place = folder / str(number)
            place.mkdir()
            with _delivering(place, setups, events) as (child, write):
                memory: list[float] = []
                watching = _Watch(child.pid, memory)
                began = write()
                total = events * len(healthy)
                counts = _all_came(tool, healthy, total)
                rates.append(total / (max(counts[path][2] for path in healthy) - began))
                if sick:
                    time.sleep(max(began + 2 * _WINDOW_S - time.time(), 0))
                    found.seconds = time.time() - began
                    counts = tool.counts()
                    found.hanging = int(counts["/hang"][0])
                    found.failing = int(counts["/fail"][0])
                    found.memory_mb = memory
                    store = Settings(data=place).deliveries_file
                    found.store_bytes = sum(
                        file.stat().st_size for file in place.glob(f"{store.name}*")
                    )
                watching.stop()
    found.alone, found.beside = rates
    return found


class _Watch:
    """Samples the memory of a process each second."""

    def __init__(self, pid: int, into: list[float]) -> None:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(pid, into), daemon=True)
        self._thread.start()

    def _run(self, pid: int, into: list[float]) -> None:
        while not self._ended.wait(1.0):
            into.append(memory_mb(pid))

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()


def _webhook(slug: str, url: str, batch: int) -> DestinationSetup:
    mapping = MappingSetup("send", batching=batch > 1, batch_size=batch if batch > 1 else None)
    return DestinationSetup(
        slug, "webhook", settings={"url": url}, mappings=(mapping,),
        delivery=Retrying(window=_WINDOW_S, concurrency=_CONCURRENCY),
    )  # fmt: skip


@contextmanager
def _delivering(
    folder: Path, setups: list[DestinationSetup], events: int
) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[], float]]]:
    """The role ``deliver`` on a folder; the call writes the events and gives when it began."""
    settings = changed(engine_settings(folder), allow_private_destinations=True)
    workspace = Workspace.of(settings)
    workspace.put_destinations(setups)
    workspace.close()
    journal = SqliteJournal(settings.journal_folder)
    writer = journal.writer(EVENTS, 0)
    command = [sys.executable, "-m", "penstock.roles", "deliver", "0", settings_as_json(settings)]
    with (folder / "deliver.log").open("wb") as log:
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=log)

    def write() -> float:
        made = records(60, 0, events)
        blocks = [made[at : at + _BLOCK] for at in range(0, events, _BLOCK)]
        bodies = [NewBlock(msgspec.msgpack.encode(block), len(block)) for block in blocks]
        began = time.time()
        writer.append(bodies)
        return began

    try:
        _await_start(settings)
        yield child, write
    finally:
        assert child.stdin is not None
        child.stdin.close()
        child.terminate()
        child.wait()
        writer.close()
        journal.close()


def _await_start(settings: Settings) -> None:
    """Wait until the role has looked at its destinations."""
    deadline = time.monotonic() + _PATIENCE_S
    while not settings.deliveries_file.exists():
        if time.monotonic() > deadline:
            raise PenstockError("the role deliver did not start")
        time.sleep(_TICK_S)
    time.sleep(2.0)


def _all_came(tool: Sink, paths: list[str], total: int) -> dict[str, list[float]]:
    """The counts, once so many messageIds have come to these paths together."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        counts = tool.counts()
        if sum(counts[path][1] for path in paths if path in counts) >= total:
            return counts
        if time.monotonic() > deadline:
            raise PenstockError(f"not everything was delivered: {counts}")
        time.sleep(_TICK_S)
