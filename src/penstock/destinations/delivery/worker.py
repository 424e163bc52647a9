"""Delivers to all destinations of a workspace, in one process."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import timedelta

from penstock import logs
from penstock.destinations.delivery.changes import Changes, write
from penstock.destinations.delivery.consumer import Bounds, Consumer
from penstock.destinations.delivery.file import DeliveryFile
from penstock.destinations.delivery.limits import Clocks
from penstock.destinations.delivery.reading import SharedReader
from penstock.destinations.delivery.records import STOPPED, Figures
from penstock.destinations.delivery.target import Make, Setups, Target
from penstock.destinations.delivery.upkeep import release, tidy
from penstock.errors import JournalError, PenstockError
from penstock.journal.contract import EVENTS, Journal

__all__ = ["Deliverer", "consumer_name", "steady_clocks"]

log = logs.get("penstock.deliver")
_TICK_S = 0.05
_WRITE_S = 0.2
_LOOK_S = 0.5
_TIDY_S = 60.0
_CHANGE_S = 1.0
"""How long a destination whose setup changed may finish what is on its way."""


def consumer_name(slug: str) -> str:
    """The name under which retention knows a destination."""
    return f"deliver:{slug}"


def steady_clocks() -> Clocks:
    """Clocks that go on evenly when the machine's clock is set."""
    began_us, began = time.time_ns() // 1000, time.monotonic()
    return Clocks(time.monotonic, lambda: began_us + int((time.monotonic() - began) * 1_000_000))


class Deliverer:
    """Keeps a consumer for each enabled destination, and for others that have a replay.

    The order of a write: outcomes and positions of all destinations in one transaction, then the
    journal is told the positions, for retention. When the file can't be written nothing more is
    collected, and the consumers stop by themselves when enough is unsettled.
    """

    def __init__(
        self,
        journal: Journal,
        file: DeliveryFile,
        setups: Setups,
        make: Make,
        *,
        bounds: Bounds | None = None,
        clocks: Clocks | None = None,
        keep: timedelta = timedelta(days=90),
    ) -> None:
        self._journal = journal
        self._file = file
        self._setups = setups
        self._make = make
        self._bounds = bounds or Bounds()
        self._clocks = clocks or steady_clocks()
        self._keep = keep
        self._reader = SharedReader(journal)
        self._consumers: dict[str, tuple[Consumer, asyncio.Task[None]]] = {}
        self._unusable: dict[str, str] = {}
        """Why an enabled destination is not delivered to."""
        self._targets: dict[str, Target] = {}
        self._revision: int | None = None
        self._steps: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._unwritten: list[tuple[Consumer, Changes]] = []
        self._told: dict[tuple[str, int], int] = {}
        self._ends: dict[int, int] = {}

    def figures(self) -> list[Figures]:
        """Of each destination that is delivered to, or should be."""
        found = [
            Figures(slug, state, behind, consumer.waiting, dict(self._steps[slug]))
            for slug, (consumer, _) in self._consumers.items()
            for state, _, behind, _ in (consumer.state(),)
        ]
        return found + [Figures(slug, STOPPED, 0, 0, {}) for slug in self._unusable]

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to deliver to, as far as the workspace was looked at."""
        return self._revision is not None and not self._consumers and not self._unusable

    async def run(self, stop: Callable[[], bool], drain_s: float = 5.0) -> None:
        """Deliver until ``stop`` says so, then finish what is on its way."""
        due = {"write": 0.0, "look": 0.0, "tidy": 0.0}
        try:
            while not stop():
                self._wake_for_news()
                for consumer, _ in self._consumers.values():
                    consumer.tick()
                for name, every, act in (
                    ("look", _LOOK_S, self._look),
                    ("write", _WRITE_S, self._write),
                    ("tidy", _TIDY_S, self._tidy),
                ):
                    if self._clocks.steady() >= due[name]:
                        await self._try(act)
                        due[name] = self._clocks.steady() + every
                await asyncio.sleep(_TICK_S)
        finally:
            await self._retire(list(self._consumers), drain_s)

    async def _try(self, act: Callable[[], object]) -> None:
        """Trouble with a file is told, and passes."""
        try:
            found = act()
            if asyncio.iscoroutine(found):
                await found
        except (PenstockError, sqlite3.Error) as error:
            log.error("deliveries wait", error=error)
            await asyncio.sleep(_TICK_S)

    def _wake_for_news(self) -> None:
        """One look at the journal for all."""
        try:
            ends = {part: self._reader.end(part) for part in self._reader.partitions()}
        except (JournalError, OSError):
            return
        if ends != self._ends:
            self._ends = ends
            for consumer, _ in self._consumers.values():
                consumer.wake()

    # Setups ---------------------------------------------------------------------------------

    async def _look(self) -> None:
        """Take up what changed in the workspace, and what was asked for in the file."""
        revision = self._setups.revision()
        if revision != self._revision:
            self._targets = {target.setup.slug: target for target in self._setups.targets()}
            await self._change()
            self._revision = revision
        await self._start_for_replays()
        if not self._write():
            return
        for consumer, _ in self._consumers.values():
            consumer.look()

    async def _change(self) -> None:
        changed = [slug for slug, (consumer, _) in self._consumers.items()
                   if not consumer.is_for(self._targets.get(slug))]  # fmt: skip
        await self._retire(changed, _CHANGE_S)
        self._unusable.clear()
        for slug, target in self._targets.items():
            if target.setup.enabled and slug not in self._consumers:
                self._start(target)
        self._release()

    async def _start_for_replays(self) -> None:
        """A disabled destination is there while it has a replay."""
        wanted = {
            slug for (slug,) in self._file.connection.execute(
                "SELECT DISTINCT destination FROM replays "
                "WHERE state IN ('waiting', 'running')")
        }  # fmt: skip
        for slug in wanted - set(self._consumers) - set(self._unusable):
            target = self._targets.get(slug)
            if target is None:
                self._fail_replays(slug, "there is no such destination")
            else:
                self._start(target)
        idle = [slug for slug, (consumer, _) in self._consumers.items()
                if not consumer.target.setup.enabled and slug not in wanted]  # fmt: skip
        await self._retire(idle, _CHANGE_S)

    def _start(self, target: Target) -> None:
        slug = target.setup.slug
        try:
            made = self._make(target.setup)
        except PenstockError as error:
            log.error("a destination can't be delivered to; its events wait in the journal",
                      destination=slug, error=error)  # fmt: skip
            self._unusable[slug] = str(error)
            self._fail_replays(slug, str(error))
            return
        consumer = Consumer(target, made, self._file, self._reader, self._clocks, self._bounds)
        self._consumers[slug] = (consumer, asyncio.create_task(consumer.run()))

    async def _retire(self, slugs: Sequence[str], seconds: float) -> None:
        """End consumers, in order; what they settled is written."""
        ending = [self._consumers[slug] for slug in slugs]
        await asyncio.gather(*(consumer.drain(seconds) for consumer, _ in ending))
        for _, task in ending:
            task.cancel()
        await asyncio.gather(*(task for _, task in ending), return_exceptions=True)
        if ending:
            await self._try(self._write)
        for slug in slugs:
            del self._consumers[slug]

    def _fail_replays(self, slug: str, reason: str) -> None:
        with self._file.transaction() as connection:
            connection.execute(
                "UPDATE replays SET state = 'failed', reason = ?, finished_us = ? "
                "WHERE destination = ? AND state IN ('waiting', 'running')",
                (reason, self._clocks.us(), slug),
            )

    def _release(self) -> None:
        """Retention keeps nothing for destinations that are disabled or gone."""
        enabled = {slug for slug, target in self._targets.items() if target.setup.enabled}
        with self._file.transaction() as connection:
            for slug in release(connection, enabled, set(self._targets), self._clocks.us()):
                self._journal.forget(consumer_name(slug), EVENTS)
                self._told = {key: at for key, at in self._told.items() if key[0] != slug}

    # Writing --------------------------------------------------------------------------------

    def _write(self) -> bool:
        """Write what is settled; False when an older write has to succeed first."""
        if not self._unwritten:
            found = [(consumer, consumer.collect()) for consumer, _ in self._consumers.values()]
            self._unwritten = [(consumer, changes) for consumer, changes in found if changes]
        now_us = self._clocks.us()
        states = [(c.slug, *c.state(), now_us) for c, _ in self._consumers.values()]
        states += [(slug, STOPPED, reason, 0, 0, now_us) for slug, reason in self._unusable.items()]
        with self._file.transaction() as connection:
            for consumer, changes in self._unwritten:
                write(connection, consumer.slug, changes, now_us)
            connection.executemany(
                "INSERT OR REPLACE INTO states VALUES (?, ?, ?, ?, ?, ?)", states
            )
        written, self._unwritten = self._unwritten, []
        for consumer, changes in written:
            consumer.written(changes)
            for (_, step, _), count in changes.counts.items():
                self._steps[consumer.slug][step] += count
        self._tell()
        return True

    def _tell(self) -> None:
        """Tell the journal, for retention, how far each destination is."""
        for consumer, _ in self._consumers.values():
            for part, position in consumer.positions.items():
                key = (consumer.slug, part)
                if self._told.get(key) != position:
                    self._journal.commit(consumer_name(consumer.slug), EVENTS, part, position)
                    self._told[key] = position

    def _tidy(self) -> None:
        starts = {part: self._reader.start(part) for part in self._reader.partitions()}
        with self._file.transaction() as connection:
            tidy(connection, self._clocks.us(), self._keep, starts)
