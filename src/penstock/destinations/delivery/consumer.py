"""All that is done for one destination, from its setup to what is written of it."""

from __future__ import annotations

import asyncio
from collections import Counter

import msgspec

from penstock import logs
from penstock.destinations.delivery.changes import Changes
from penstock.destinations.delivery.feed import Feed
from penstock.destinations.delivery.file import DeliveryFile
from penstock.destinations.delivery.limits import Clocks, Limits
from penstock.destinations.delivery.order import Order
from penstock.destinations.delivery.pipeline import Pipeline
from penstock.destinations.delivery.reading import SharedReader
from penstock.destinations.delivery.records import BROKEN, DELIVERING, FULL, RETRYING, STOPPED
from penstock.destinations.delivery.replaying import Replays
from penstock.destinations.delivery.retries import Retries, behind_by_person
from penstock.destinations.delivery.starting import start_of
from penstock.destinations.delivery.tally import Tally
from penstock.destinations.delivery.target import Made, Target
from penstock.destinations.sending.backoff import Backoff
from penstock.destinations.sending.breaker import Breaker, BreakerPolicy
from penstock.destinations.sending.rate import TokenBucket
from penstock.errors import JournalError

__all__ = ["Bounds", "Consumer"]

log = logs.get("penstock.deliver")
_LEAST_PENDING = 2_000
_MOST_PENDING = 20_000
_IDLE_S = 0.25
_TROUBLE_S = 1.0


class Bounds:
    """What the settings say for all destinations."""

    def __init__(
        self,
        retries: int = 100_000,
        replay_rate: float = 1_000.0,
        breaker: BreakerPolicy | None = None,
        first_wait: float = 2.0,
    ) -> None:
        """``retries``: rows of the retry table by destination; ``replay_rate``: events a second;
        ``first_wait``: seconds that the first retry is away at most.
        """
        self.retries = retries
        self.replay_rate = replay_rate
        self.breaker = breaker or BreakerPolicy()
        self.first_wait = first_wait


class Consumer:
    """One destination with one setup; another setup makes another consumer.

    Everything happens in one thread: ``run`` reads and sends, ``tick`` does what time asks for,
    and between ``collect`` and ``written`` its outcomes are written by whoever holds the file.
    """

    def __init__(
        self,
        target: Target,
        made: Made,
        file: DeliveryFile,
        reader: SharedReader,
        clocks: Clocks,
        bounds: Bounds,
    ) -> None:
        setup = target.setup
        self.slug = setup.slug
        self.target = target
        self._file = file
        self._reader = reader
        self._clocks = clocks
        self._bounds = bounds
        self._made = made
        ordered = setup.delivery.ordered
        connection = file.connection
        self._pipeline = Pipeline(
            self.slug,
            made.perform,
            Limits(
                setup.delivery.concurrency or made.concurrency,
                setup.delivery.window,
                min(max(_LEAST_PENDING, 4 * made.most_together), _MOST_PENDING),
                ordered,
            ),
            clocks,
            breaker=Breaker(bounds.breaker, clock=clocks.steady),
            bucket=TokenBucket(_rate(setup.delivery.requests_per_second, made),
                               clock=clocks.steady),
            backoff=Backoff(bounds.first_wait, window=setup.delivery.window),
            order=Order(behind_by_person(connection, self.slug)) if ordered else None,
            broken_us=_broken_us(file, self.slug) if setup.enabled else 0,
            is_full=self._is_full,
        )  # fmt: skip
        self._tally = Tally(clocks.us, _whole(file, self.slug))
        self._live = setup.enabled
        self._feed = Feed(reader, self._pipeline, made.route, self._tally, clocks.us,
                          ordered=ordered)  # fmt: skip
        self._retries = Retries(connection, reader, self._pipeline, made.route, self._tally,
                                clocks.us, ordered=ordered, live=self._live)  # fmt: skip
        self._replays = Replays(file, reader, self._pipeline, made.route, self._tally, clocks,
                                rate=bounds.replay_rate, ordered=ordered)  # fmt: skip
        self._ending = False
        self.positions: dict[int, int] = {}
        """Where to read on by partition, as of the last write."""
        if self._live:
            self._begin()

    # Running --------------------------------------------------------------------------------

    async def run(self) -> None:
        """Read and send until ``end`` is called."""
        pipeline = self._pipeline
        while not self._ending:
            pipeline.wake.clear()
            try:
                done = self._advance()
            except JournalError as error:
                log.warning("the journal can't be read on yet", destination=self.slug, error=error)
                done = 0
                await asyncio.sleep(_TROUBLE_S)
            if done:
                await asyncio.sleep(0)
                continue
            try:
                async with asyncio.timeout(_IDLE_S):
                    await pipeline.wake.wait()
            except TimeoutError:
                continue

    def _advance(self) -> int:
        done = self._retries.advance()
        if self._live:
            done += self._feed.advance()
        return done + self._replays.advance()

    def is_for(self, target: Target | None) -> bool:
        """Whether it does what the target asks for; what sending itself renewed is no change."""
        if target is None or target.since_us != self.target.since_us:
            return False
        mine = self.target.setup
        settings = {**mine.settings, **self._made.renewed}
        return target.setup in (mine, msgspec.structs.replace(mine, settings=settings))

    def wake(self) -> None:
        """There may be something new."""
        self._pipeline.wake.set()

    def tick(self) -> None:
        """Call it several times a second."""
        self._pipeline.tick()

    def _is_full(self) -> bool:
        """Whether the retry table has no room for more, what is about to go there included."""
        parked = self._feed.parked_count + len(self._tally.changes.parked)
        return self._retries.count + parked >= self._bounds.retries

    def look(self) -> None:
        """See what was asked for meanwhile; call it about once a second, after a write."""
        if self._live:
            self._begin()
        self._tally.recount(_whole(self._file, self.slug))
        self._retries.revive(self._bounds.retries - self._retries.count)
        self._replays.look()
        self.wake()

    def _begin(self) -> None:
        """Read partitions from where they were left, or from where the destination begins."""
        for part in self._reader.partitions():
            if part in self._feed.parts():
                continue
            row = self._file.connection.execute(
                "SELECT started, next FROM positions WHERE destination = ? AND part = ?",
                (self.slug, part),
            ).fetchone()
            if row is not None:
                started, position = row
                position = min(position, self._reader.end(part))
            else:
                started = position = start_of(self._reader, part, self.target.since_us)
            self._feed.begin(part, position, started)
            self.positions[part] = position

    # Writing --------------------------------------------------------------------------------

    def collect(self) -> Changes:
        """What is settled since the last time; it has to be written, then ``written`` called."""
        self._feed.collect()
        self._replays.collect()
        return self._tally.take()

    def written(self, changes: Changes) -> None:
        """What ``collect`` gave stands in the file."""
        if changes.parked or changes.removed or changes.again or changes.dead:
            self._retries.written()
        for part, (_, position) in changes.positions.items():
            self.positions[part] = position

    @property
    def waiting(self) -> int:
        """Deliveries in the retry table."""
        return self._retries.count

    def state(self) -> tuple[str, str, int, int]:
        """State, reason, events not passed yet, and since when nothing gets through (0: not so)."""
        pipeline = self._pipeline
        behind = self._feed.behind() if self._live else 0
        if not self._live:
            return STOPPED, "it is disabled", 0, 0
        if pipeline.is_broken:
            return BROKEN, pipeline.reason, behind, pipeline.failing_us
        if self._is_full():
            return FULL, f"{self._retries.count} events wait to be tried again", behind, 0
        if self._retries.count or pipeline.failing_us:
            return RETRYING, pipeline.reason, behind, pipeline.failing_us
        return DELIVERING, "", behind, 0

    # Ending ---------------------------------------------------------------------------------

    def end(self) -> None:
        """Read no more; what is on its way goes on."""
        self._ending = True
        self.wake()

    async def drain(self, seconds: float) -> None:
        """Wait for what is on its way; what is not answered in time will be sent again."""
        self.end()
        await self._pipeline.drain(seconds)


def _rate(wished: float | None, made: Made) -> float:
    return made.requests_per_second if wished is None else wished


def _broken_us(file: DeliveryFile, slug: str) -> int:
    row = file.connection.execute(
        "SELECT broken_us FROM states WHERE destination = ?", (slug,)
    ).fetchone()
    return int(row[0]) if row else 0


def _whole(file: DeliveryFile, slug: str) -> Counter[tuple[str, str]]:
    """Dead letters that are kept with their request, by action and code."""
    rows = file.connection.execute(
        "SELECT action, code, count(*) FROM dead WHERE destination = ? AND message_id <> '' "
        "GROUP BY 1, 2",
        (slug,),
    )
    return Counter({(action, code): count for action, code, count in rows})
