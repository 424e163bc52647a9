"""Sends the deliveries of one destination, and decides what happens to those that fail."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from random import random as _random

from penstock import logs
from penstock.destinations.delivery.batching import Batcher
from penstock.destinations.delivery.limits import Clocks, Limits, Patience, Perform
from penstock.destinations.delivery.order import Order
from penstock.destinations.delivery.records import DELIVERED, DISCARDED, FAILED, FILTERED
from penstock.destinations.delivery.unit import Delivery
from penstock.destinations.sending.backoff import Backoff
from penstock.destinations.sending.breaker import Breaker
from penstock.destinations.sending.outcome import Outcome
from penstock.destinations.sending.rate import TokenBucket

__all__ = ["Pipeline"]

log = logs.get("penstock.deliver")
_UNEXPECTED = "INTERNAL"
_CANDIDATES = 5
"""Deliveries among which probes are chosen: one that always fails must not hide the others."""


class Pipeline:
    """The deliveries of one destination that are in memory.

    A failure that may pass is kept here until it is known what kind it is. Once another call
    succeeds, it is of the event or the minute: the delivery is parked, in the retry table. When
    the breaker opens instead, it is of the tool: the delivery stays, probes are sent, and whoever
    reads the journal is told by ``room`` to wait, so that the journal's position is the queue.
    """

    def __init__(
        self,
        slug: str,
        perform: Perform,
        limits: Limits,
        clocks: Clocks,
        *,
        breaker: Breaker,
        bucket: TokenBucket,
        backoff: Backoff,
        order: Order | None = None,
        broken_us: int = 0,
        is_full: Callable[[], bool] = lambda: False,
        random: Callable[[], float] = _random,
    ) -> None:
        """``broken_us``: since when nothing gets through, as far as was known before.

        ``is_full``: whether the retry table takes no more.
        """
        self.slug = slug
        self.limits = limits
        self.failing_us = broken_us
        """When the first call failed since the last one that succeeded; 0: the last did."""
        self.wake = asyncio.Event()
        """Set when there is room for more, and not for one or two only."""
        self.reason = ""
        """What the latest failure was."""
        self.last: Outcome | None = None
        self._perform = perform
        self._clocks = clocks
        self._breaker = breaker
        self._bucket = bucket
        self._patience = Patience(clocks, backoff, limits.window_s, random)
        self._order = order
        self._is_full = is_full
        self._low = limits.pending * 3 // 4
        self._batcher = Batcher(clocks.steady)
        self._ready: deque[list[Delivery]] = deque()
        self._held: list[Delivery] = []
        """Failed, and it is not known yet whether the tool or the event is to blame."""
        self._active: set[asyncio.Task[None]] = set()
        self._closed = False
        self.pending = 0
        """Deliveries that were submitted and are neither settled nor parked."""

    # Coming in ------------------------------------------------------------------------------

    @property
    def is_broken(self) -> bool:
        """Whether nothing gets through, so that only probes are sent."""
        return self._breaker.state != "closed"

    @property
    def is_full(self) -> bool:
        """Whether the retry table takes no more."""
        return self._is_full()

    def room(self) -> int:
        """How many more deliveries it takes just now."""
        if self.is_broken:
            return max(_CANDIDATES - self.pending, 0)
        if self._held and self._is_full():
            return 0
        return max(self.limits.pending - self.pending, 0)

    def submit(self, delivery: Delivery) -> None:
        """Deliver it, sooner or later."""
        self.pending += 1
        if self._order is not None and not delivery.row:
            if self._order.is_behind(delivery.person):
                self._order.park_behind(delivery)
                self._leave_to_table(delivery, self._clocks.us())
                return
            if not self._order.enter(delivery):
                return
        self._enqueue(delivery)

    def deadline_us(self, delivery: Delivery) -> int:
        """When it is given up."""
        return self._patience.deadline_us(delivery, self.failing_us)

    def tick(self) -> None:
        """Do what time asks for; call it several times a second."""
        for batch in self._batcher.due():
            self._ready.append(batch)
        now_us = self._clocks.us()
        if self.is_broken:
            self._give_up(now_us)
            if self._held and not self._ready and self._breaker.wait() <= 0:
                self._ready.append([self._held.pop(0)])
        else:
            due = [one for one in self._held if self._patience.is_due(one, now_us)]
            if due:
                self._held = [one for one in self._held if not self._patience.is_due(one, now_us)]
                for delivery in due:
                    self._enqueue(delivery)
        self._pump()

    def _give_up(self, now_us: int) -> None:
        """Give up what the tool has been away for too long for."""
        waiting = [*self._held, *(one for call in self._ready for one in call)]
        late = {id(one) for one in waiting if self.deadline_us(one) <= now_us}
        if not late:
            return
        self._held = [one for one in self._held if id(one) not in late]
        kept = ([one for one in call if id(one) not in late] for call in self._ready)
        self._ready = deque(call for call in kept if call)
        for delivery in waiting:
            if id(delivery) in late:
                self._settle(delivery, FAILED, delivery.last or self.last or _NO_ANSWER)

    # Sending --------------------------------------------------------------------------------

    def _enqueue(self, delivery: Delivery) -> None:
        if delivery.mapped.batch is None:
            self._ready.append([delivery])
        else:
            self._ready.extend(self._batcher.add(delivery))
        self._pump()

    def _pump(self) -> None:
        while self._ready and len(self._active) < self.limits.concurrency and not self._closed:
            if not self._breaker.allow():
                return
            task = asyncio.create_task(self._work(self._ready.popleft()))
            self._active.add(task)
            task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._active.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            told = logs.told(error) if isinstance(error, Exception) else type(error).__name__
            log.error("a call ended as nobody expected", destination=self.slug, error=told)
        self._pump()

    async def _work(self, call: list[Delivery]) -> None:
        """Send one call after the other, while there are any: a task for each would cost more."""
        await self._send(call)
        while self._ready and not self._closed and self._breaker.allow():
            await self._send(self._ready.popleft())

    async def _send(self, call: list[Delivery]) -> None:
        try:
            performed = await self._perform(call, self._bucket.take)
            outcomes = performed.outcomes
        except Exception as error:  # a tool's code must not stop the others
            log.exception("a destination's code failed", destination=self.slug,
                          action=call[0].mapped.action.slug)  # fmt: skip
            outcomes = (Outcome(400, _UNEXPECTED, type(error).__name__),) * len(call)
        self._judge(call, outcomes)
        for delivery, outcome in zip(call, outcomes, strict=True):
            self._take(delivery, outcome)
        if self.pending <= self._low:
            self.wake.set()

    def _judge(self, call: list[Delivery], outcomes: Sequence[Outcome]) -> None:
        """Tell the breaker; and with the first call that gets through, decide on what failed.

        That one delivery fails again and again says nothing of the tool: while the breaker is
        closed only the first failure of each counts.
        """
        failed = [one for one in outcomes if one.retriable]
        if not failed and not self.failing_us and not self._held and not self.is_broken:
            self._breaker.record(True)
            return
        waits = [one.retry_after for one in failed if one.retry_after]
        if waits:
            self._bucket.hold(max(waits))
        was_broken = self.is_broken
        works = len(failed) < len(outcomes)
        if works or was_broken or any(one.row or not one.attempts for one in call):
            self._breaker.record(works)
        if failed:
            self.last = failed[-1]
            self.reason = f"{failed[-1].code}: {failed[-1].message}"
        if not works:
            self.failing_us = self.failing_us or self._clocks.us()
            if self.is_broken and not was_broken:
                log.warning("a destination is down; its events wait in the journal",
                            destination=self.slug, code=failed[-1].code)  # fmt: skip
            return
        self.failing_us = 0
        held, self._held = self._held, []
        if was_broken and not self.is_broken:
            log.info("a destination is back", destination=self.slug)
            for delivery in held:
                self._enqueue(delivery)
        else:
            for delivery in held:
                self._park(delivery)

    def _take(self, delivery: Delivery, outcome: Outcome) -> None:
        if outcome.delivered:
            self._settle(delivery, DELIVERED, outcome)
        elif outcome.skipped:
            self._settle(delivery, FILTERED, outcome)
        elif not outcome.retriable:
            self._settle(delivery, DISCARDED, outcome)
        else:
            self._again(delivery, outcome)

    def _again(self, delivery: Delivery, outcome: Outcome) -> None:
        self._patience.note_failure(delivery, outcome)
        if self.deadline_us(delivery) <= self._clocks.us():
            self._settle(delivery, FAILED, outcome)
        elif delivery.row:
            self._park(delivery)
        else:
            self._held.append(delivery)

    def postpone(self, delivery: Delivery, outcome: Outcome) -> None:
        """Put off what can't be sent yet, and was not; the tool is not to blame."""
        self.pending += 1
        self._patience.note_failure(delivery, outcome)
        if delivery.row and self.deadline_us(delivery) <= self._clocks.us():
            self._settle(delivery, FAILED, outcome)
            return
        if not delivery.row:
            self.park_behind(delivery)
        self._leave_to_table(delivery, delivery.due_us)

    # Leaving --------------------------------------------------------------------------------

    def _one_less(self) -> None:
        self.pending -= 1
        if self.pending <= self._low:
            self.wake.set()

    def _settle(self, delivery: Delivery, step: str, outcome: Outcome) -> None:
        self._one_less()
        delivery.owner.settled(delivery, step, outcome)
        if self._order is None:
            return
        if delivery.row:
            self._order.unpark(delivery.person)
        elif (following := self._order.leave(delivery)) is not None:
            self._enqueue(following)

    def _park(self, delivery: Delivery) -> None:
        if not delivery.row and self._is_full():
            self._held.append(delivery)
            return
        following: list[Delivery] = []
        if self._order is not None and not delivery.row:
            following = self._order.park(delivery)
        self._leave_to_table(delivery, delivery.due_us)
        for one in following:
            self._leave_to_table(one, delivery.due_us)

    def _leave_to_table(self, delivery: Delivery, due_us: int) -> None:
        self._one_less()
        delivery.owner.parked(delivery, due_us)

    def park_behind(self, delivery: Delivery) -> None:
        """Know that a delivery goes into the retry table past the pipeline."""
        if self._order is not None:
            self._order.park_behind(delivery)

    def unpark(self, delivery: Delivery) -> None:
        """Know that a delivery left the retry table past the pipeline."""
        if self._order is not None:
            self._order.unpark(delivery.person)

    # Ending ---------------------------------------------------------------------------------

    async def drain(self, seconds: float) -> None:
        """Send what is ready, and wait for the answers, for some seconds at most."""
        self._ready.extend(self._batcher.due(all_of_them=True))
        self._pump()
        try:
            async with asyncio.timeout(seconds):
                while self._active:
                    await asyncio.wait(set(self._active))
        except TimeoutError:
            self._closed = True
            for task in self._active:
                task.cancel()
            await asyncio.gather(*self._active, return_exceptions=True)


_NO_ANSWER = Outcome(0, "NO_ANSWER", "the tool was away for longer than events are kept for it")
