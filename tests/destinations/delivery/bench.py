"""A journal written by hand, destinations that do as they are told, and the deliverer on both."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from penstock.destinations.contract import Action, Batch, Call, Steps
from penstock.destinations.delivery.consumer import Bounds
from penstock.destinations.delivery.file import DeliveryFile
from penstock.destinations.delivery.limits import Clocks
from penstock.destinations.delivery.store import DeliveryStore
from penstock.destinations.delivery.target import Made, Target
from penstock.destinations.delivery.unit import Delivery
from penstock.destinations.delivery.worker import Deliverer
from penstock.destinations.model import DestinationSetup
from penstock.destinations.routed import Mapped, Planned, Routed, Unsendable
from penstock.destinations.sending.breaker import BreakerPolicy
from penstock.destinations.sending.outcome import Exchange, Outcome, Performed
from penstock.errors import ConfigurationError
from penstock.events.model import Record
from penstock.journal.contract import EVENTS, NewBlock
from penstock.journal.sqlite import SqliteJournal
from penstock.process.meta import EventsMeta

PATIENCE_S = 60.0
_encode = msgspec.msgpack.Encoder().encode
TAKEN = Outcome(200)


def refused(status: int, *, wait: float | None = None) -> Outcome:
    """What a tool that answers so makes of a payload."""
    again = status in (0, 408, 423, 429) or (status >= 500 and status != 501)
    told = Exchange("http", "POST", "http://sink", body="{}", status=status, answer_body="no")
    return Outcome(status, str(status or "ECONNREFUSED"), "no", again, wait, request=told)


def _build(_: Call) -> Steps:
    yield from ()
    return None


@dataclass
class Tool:
    """A destination's route and sender; ``answer`` says what becomes of an event."""

    answer: Callable[[dict[str, Any]], Outcome] = lambda _: TAKEN
    batch: Batch | None = None
    places: int = 1
    """Mappings that match each event."""
    got: list[str] = field(default_factory=list)
    """messageIds that were taken, in order."""
    tried: list[str] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)
    """Payloads of each call."""
    routed: list[dict[str, Any]] = field(default_factory=list)
    hanging: asyncio.Event | None = None
    busy: Counter[str] = field(default_factory=Counter)
    overlaps: int = 0
    """Calls that carried a person's event while another of the same person was on its way."""

    def __post_init__(self) -> None:
        action = Action("send", "Send", _build)
        self._mapped = [Mapped(n, action, "", self.batch, bool, dict) for n in range(self.places)]

    def __call__(self, event: dict[str, Any], source: str) -> Routed:
        self.routed.append(event)
        if event.get("integrations") == {"All": False}:
            return Routed(reason="FILTERED_BY_INTEGRATIONS_OBJECT")
        if event.get("event") == "Invalid":
            return Routed(unsendable=[Unsendable(0, self._mapped[0], "BAD", "no total", False)])
        return Routed([Planned(mapped.place, mapped, dict(event)) for mapped in self._mapped])

    def prepare(self, event: dict[str, Any], source: str) -> None:
        raise AssertionError("there are no functions here")

    def replayed(self, event: dict[str, Any]) -> dict[str, Any]:
        return {**event, "integrations": {"All": False, "tool": True}}

    async def perform(
        self, deliveries: Sequence[Delivery], gate: Callable[[], Awaitable[None]]
    ) -> Performed:
        await gate()
        self.calls.append(len(deliveries))
        people = [str(one.payload.get("userId")) for one in deliveries]
        self.overlaps += sum(self.busy[person] > 0 for person in people)
        self.busy.update(people)
        if self.hanging is not None:
            await self.hanging.wait()
        await asyncio.sleep(0)
        self.busy.subtract(people)
        outcomes = []
        for delivery in deliveries:
            self.tried.append(delivery.message_id)
            outcome = self.answer(delivery.payload)
            if outcome.delivered:
                self.got.append(delivery.message_id)
            outcomes.append(outcome)
        return Performed(tuple(outcomes))


class World:
    """A data folder, tools by slug, and setups that a test changes."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.journal = SqliteJournal(data / "journal")
        self.file = data / "deliveries.sqlite"
        self.tools: dict[str, Tool] = {}
        self.all: dict[str, Target] = {}
        self.version = 0
        self.made: list[DestinationSetup] = []
        self._sent = 0

    def add(self, slug: str, tool: Tool, since_us: int = 1, **how: Any) -> Tool:
        """A destination from the journal's beginning, unless ``since_us`` says otherwise."""
        self.tools[slug] = tool
        self.all[slug] = Target(DestinationSetup(slug, "tool", **how), since_us)
        self.version += 1
        return tool

    def change(self, slug: str, **how: Any) -> None:
        target = self.all[slug]
        self.all[slug] = replace(target, setup=msgspec.structs.replace(target.setup, **how))
        self.version += 1

    def remove(self, slug: str) -> None:
        del self.all[slug]
        self.version += 1

    def revision(self) -> int:
        return self.version

    def targets(self) -> list[Target]:
        return list(self.all.values())

    def make(self, setup: DestinationSetup) -> Made:
        if setup.settings.get("broken"):
            raise ConfigurationError("the setting `url` is missing")
        self.made.append(setup)
        tool = self.tools[setup.slug]
        most = tool.batch.size if tool.batch else 1
        return Made(tool, tool.perform, 4, 0.0, most)

    def store_events(self, count: int, **more: Any) -> list[str]:
        """A block of events; returns their messageIds."""
        now_us = more.pop("at_us", time.time_ns() // 1000)
        source = more.pop("source", "web")
        ids = [f"m{self._sent + n}" for n in range(count)]
        records = [
            Record(source, message_id, now_us, json.dumps(
                {"type": "track", "event": "A", "messageId": message_id, "userId": "u1", **more}
            ).encode())
            for message_id in ids
        ]  # fmt: skip
        meta = EventsMeta(0, self._sent, self._sent + count, 0, now_us, [])
        writer = self.journal.writer(EVENTS, 0)
        writer.append([NewBlock(_encode(records), count, msgspec.json.encode(meta))])
        writer.close()
        self._sent += count
        return ids

    def store(self) -> DeliveryStore:
        return DeliveryStore(self.file)

    @asynccontextmanager
    async def delivering(
        self, bounds: Bounds | None = None, clocks: Clocks | None = None
    ) -> AsyncIterator[Deliverer]:
        file = DeliveryFile(self.file)
        stopping = asyncio.Event()
        deliverer = Deliverer(self.journal, file, self, self.make,
                              bounds=bounds or quick(), clocks=clocks,
                              keep=timedelta(days=90))  # fmt: skip
        running = asyncio.create_task(deliverer.run(stopping.is_set, 5.0))
        try:
            yield deliverer
        finally:
            stopping.set()
            await running
            file.close()


def quick(**how: Any) -> Bounds:
    """Waits short enough for tests."""
    policy = BreakerPolicy(consecutive=5, probe=0.05, longest=0.2)
    return Bounds(**{"breaker": policy, "first_wait": 0.05, **how})


async def until(check: Callable[[], Any]) -> Any:
    """Wait until something holds, and give it."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := check()):
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.02)
    return found


def balance(store: DeliveryStore, slug: str) -> dict[str, int]:
    """The destination's ledger over all sources and hours."""
    _, sums, _ = store.ledger(0)
    return {
        column: sum(getattr(one, column) for one in sums if one.destination == slug)
        for column in ("more", "delivered", "filtered", "waiting", "dead")
    }
