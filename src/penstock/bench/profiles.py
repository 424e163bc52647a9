"""Profiles: events a second of a core, bytes a profile, and how long a membership takes."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import msgspec

from penstock.bench.client import Flood
from penstock.bench.people import Visitors, narrow_setups, wide_setups
from penstock.bench.system import KEY, engine_settings, wait_for_port
from penstock.bench.watching import loaded_events
from penstock.destinations.model import DestinationSetup
from penstock.engine import Engine
from penstock.errors import PenstockError
from penstock.events.model import Record
from penstock.journal.contract import EVENTS, NewBlock
from penstock.journal.sqlite import SqliteJournal
from penstock.profiles.identity.rules import IdentityRules
from penstock.profiles.language.definitions import AudienceSetup, Sending
from penstock.profiles.stream.definitions import Setups
from penstock.profiles.stream.outbox import SOURCE, Outbox
from penstock.profiles.stream.space import Space
from penstock.settings import Settings
from penstock.workspace.planning import Contents
from penstock.workspace.store import Workspace

__all__ = ["Streamed", "audience_cost", "entered_latency", "streamed"]

_BLOCK = 2_000
_EVERY = 50
"""Of so many events one makes somebody a member."""
_PATIENCE_S = 120.0
_ENTERED = "Audience Entered"
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Record]).decode


@dataclass(frozen=True)
class Streamed:
    """Rates in events a second of processor time."""

    new: float
    """Everybody's first event: a profile is made for each."""
    cold: float
    """Everybody is known, and nobody is in memory: just after a start."""
    warm: float
    told: float
    """Changes of audiences told for each event, while warm."""
    bytes_per_profile: float
    """Of the file, with all that is in it."""


class _Stage:
    """A journal and a space in this process; what is written is read at once."""

    def __init__(self, folder: Path, setups: Setups) -> None:
        self._folder = folder
        self._setups = setups
        self._journal = SqliteJournal(folder / "journal")
        self._writer = self._journal.writer(EVENTS, 0)
        self.outbox = Outbox(self._journal, lambda: time.time_ns() // 1000)
        self.space = self._open()

    def _open(self) -> Space:
        space = Space(
            "default", self._folder / "profiles", self._journal, self.outbox, IdentityRules(),
            belongs=lambda _: True,
        )  # fmt: skip
        space.adopt(self._setups, {})
        while space.step():
            pass
        return space

    def restart(self) -> None:
        """Forget what is in memory."""
        self.space.close()
        self.space = self._open()

    def rate(self, records: Iterable[Record]) -> float:
        """Write these, then read them: events a second of the processor time of reading."""
        rest = iter(records)
        events = 0
        while block := list(islice(rest, _BLOCK)):
            self._writer.append([NewBlock(_encode(block), len(block))])
            events += len(block)
        began = time.process_time()
        while self.space.step():
            pass
        return events / (time.process_time() - began)

    def close(self) -> None:
        """Close everything."""
        self.space.close()
        self.outbox.close()
        self._writer.close()
        self._journal.close()


@contextmanager
def _collecting_seldom() -> Iterator[None]:
    """As the role does."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def streamed(folder: Path, people: int, events: int) -> Streamed:
    """Identity, 50 traits and 100 audiences over so many people."""
    visitors = Visitors(people)
    with _collecting_seldom(), closing(_Stage(folder, wide_setups())) as stage:
        new = stage.rate(visitors.each())
        stage.restart()
        cold = stage.rate(visitors.skewed(events))
        stage.rate(visitors.skewed(events))
        before = stage.outbox.sent
        warm = stage.rate(visitors.skewed(events))
        told = (stage.outbox.sent - before) / events
        connection = stage.space.file.connection
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        size = stage.space.file.path.stat().st_size
        (profiles,) = connection.execute("SELECT count(*) FROM segments").fetchone()
        return Streamed(new, cold, warm, told, size / profiles)


def audience_cost(folder: Path, people: int, events: int) -> dict[int, float]:
    """Warm rate by the number of audiences, ten of which an event can concern."""
    rates = {}
    for audiences in (10, 100, 1_000):
        visitors = Visitors(people)
        place = folder / str(audiences)
        with _collecting_seldom(), closing(_Stage(place, narrow_setups(audiences))) as stage:
            stage.rate(visitors.each())
            stage.rate(visitors.skewed(events))
            rates[audiences] = stage.rate(visitors.skewed(events))
    return rates


def entered_latency(folder: Path, per_second: int, seconds: float) -> tuple[float, float]:
    """Median and 99th percentile, in seconds, at a steady pace with all roles running.

    From the answer of the collector to the moment at which the journal holds 'Audience Entered'
    among the events that the warehouse and destinations read.
    """
    settings = _settings(folder)
    engine = Engine(settings, say=lambda _: None)
    engine.start()
    answered: dict[int, float] = {}
    try:
        wait_for_port(settings.port)
        loaded_events(settings)
        offset = time.time() - time.perf_counter()
        flood = Flood(
            settings.port, "/v1/batch", KEY, _body, count=_EVERY, connections=4,
            accepted=lambda first, _count, at: answered.update({first: at + offset}),
        )  # fmt: skip
        _flood(engine, flood, per_second, 10.0)  # by then those who come often are members
        start = flood.sent
        _flood(engine, flood, per_second, seconds)
        flood.close()
        entered = _entered(settings, engine, len(answered))
    finally:
        engine.stop()
    delays = sorted(entered[first] - at for first, at in answered.items() if first >= start)
    return delays[len(delays) // 2], delays[int(len(delays) * 0.99)]


def _flood(engine: Engine, flood: Flood, per_second: int, seconds: float) -> None:
    """Send at a steady pace; ``watch`` starts the profiles process once there are events."""
    start, began = flood.sent, time.perf_counter()

    def allowed(_: float) -> int:
        return start + int((time.perf_counter() - began) * per_second)

    while time.perf_counter() - began < seconds:
        engine.watch()
        flood.run(0.5, allowed)


def _settings(folder: Path) -> Settings:
    settings = engine_settings(folder)
    workspace = Workspace.of(settings)
    hook = DestinationSetup(
        "hook", "webhook", enabled=False, settings={"url": "https://example.com/hook"}
    )
    joined = AudienceSetup(
        "joined", 'did "Signed Up"', destinations=(Sending("hook", mode="track"),)
    )
    wide = wide_setups()
    workspace.apply(
        Contents(
            destinations=(hook,),
            audiences=(joined, *wide.audiences.values()),
            traits=tuple(wide.traits.values()),
        )
    )
    workspace.close()
    return settings


def _body(first: int, count: int) -> bytes:
    """One who signs up, and events of others."""
    events: list[dict[str, object]] = [
        {"type": "track", "messageId": f"s{first}", "userId": f"new-{first}", "event": "Signed Up"}
    ]
    for number in range(first + 1, first + count):
        name = "Product Viewed" if number % 3 else "Page Seen"
        events.append(
            {"type": "track", "messageId": f"e{number}", "userId": f"u{number * 7919 % 2_003}",
             "event": name, "properties": {"total": number % 40, "campaign_name": "spring"}}
        )  # fmt: skip
    return msgspec.json.encode({"batch": events})


def _entered(settings: Settings, engine: Engine, count: int) -> dict[int, float]:
    """When each came to ``events``, by the number of the request that made it."""
    found: dict[int, float] = {}
    positions: dict[int, int] = {}
    deadline = time.monotonic() + _PATIENCE_S
    with closing(SqliteJournal(settings.journal_folder)) as journal:
        while len(found) < count:
            if time.monotonic() > deadline:
                raise PenstockError(f"{len(found)} of {count} memberships were told")
            engine.watch()
            for part in journal.partitions(EVENTS):
                reading = journal.read(EVENTS, part, positions.get(part, 0), 20_000)
                positions[part] = reading.next
                for block in reading.blocks:
                    found |= dict.fromkeys(_joined(block.body), block.created_us / 1e6)
            time.sleep(0.1)
    return found


def _joined(body: bytes) -> Iterator[int]:
    for record in _decode(body):
        if record.source == SOURCE and _ENTERED.encode() in record.payload:
            event = msgspec.json.decode(record.payload)
            if event["properties"]["audience_key"] == "joined":
                yield int(event["userId"].removeprefix("new-"))
