"""Breaker, rate and backoff, by a clock that is moved by hand."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from penstock.destinations.sending.backoff import Backoff, retry_after
from penstock.destinations.sending.breaker import Breaker, BreakerPolicy
from penstock.destinations.sending.rate import TokenBucket

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def breaker(clock: Clock, jitter: float = 0.0) -> Breaker:
    return Breaker(BreakerPolicy(jitter=0.2), clock=clock, random=lambda: jitter)


def test_opens_after_failures_in_a_row_and_closes_with_a_probe() -> None:
    clock = Clock()
    subject = breaker(clock)
    for _ in range(4):
        subject.record(False)
    subject.record(True)
    for _ in range(4):
        subject.record(False)
    assert subject.allow() and subject.wait() == 0
    subject.record(False)
    assert not subject.allow() and subject.wait() == 5
    clock.now += 5
    assert subject.allow() and not subject.allow()
    subject.record(True)
    assert subject.state == "closed" and subject.allow() and subject.wait() == 0


def test_opens_by_the_part_that_fails() -> None:
    clock = Clock()
    subject = breaker(clock)
    for _ in range(10):
        subject.record(True)
        subject.record(False)
    assert subject.state == "open"
    subject = breaker(clock)
    for _ in range(200):
        clock.now += 4
        subject.record(False)
        subject.record(True)
    assert subject.state == "open", "16 of 31 within a minute"


def test_probes_grow_rarer_up_to_a_limit_and_vary() -> None:
    clock = Clock()
    subject = breaker(clock, jitter=1.0)
    for _ in range(5):
        subject.record(False)
    waits = []
    for _ in range(6):
        waits.append(subject.wait())
        clock.now += waits[-1]
        assert subject.allow()
        subject.record(False)
    assert waits == pytest.approx([6, 12, 24, 48, 72, 72])


def test_a_probe_that_never_reports_is_given_up() -> None:
    clock = Clock()
    subject = breaker(clock)
    for _ in range(5):
        subject.record(False)
    clock.now += 5
    assert subject.allow() and not subject.allow()
    clock.now += 120
    assert subject.allow()


def test_results_from_before_it_opened_do_not_close_it() -> None:
    subject = breaker(Clock())
    for _ in range(5):
        subject.record(False)
    subject.record(True)
    assert subject.state == "open"


def test_rate_lets_a_burst_through_and_then_so_many_a_second() -> None:
    clock = Clock()
    bucket = TokenBucket(10, clock=clock, sleep=clock.sleep)

    async def go() -> list[float]:
        taken = []
        for _ in range(30):
            await bucket.take()
            taken.append(clock.now - 1000)
        return taken

    taken = asyncio.run(go())
    assert taken[9] == 0 and taken[10] == pytest.approx(0.1) and taken[29] == pytest.approx(2)
    clock.now += 100
    assert [bucket.reserve() for _ in range(11)][9:] == pytest.approx([0, 0.1])


def test_rate_zero_and_holding() -> None:
    clock = Clock()
    free = TokenBucket(0, clock=clock)
    assert [free.reserve() for _ in range(1000)] == [0] * 1000
    free.hold(7)
    assert free.reserve() == 7
    bucket = TokenBucket(2, clock=clock)
    bucket.hold(5)
    assert [bucket.reserve() for _ in range(3)] == pytest.approx([5, 5, 5.5])
    clock.now += 60
    assert bucket.reserve() == 0


def test_a_caller_that_is_cancelled_gives_its_token_back() -> None:
    async def go() -> float:
        bucket = TokenBucket(0.001, clock=lambda: 0.0)
        await bucket.take()
        waiting = asyncio.create_task(bucket.take())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return bucket.reserve()

    assert asyncio.run(go()) == 1000


def test_backoff_doubles_is_drawn_and_ends_with_its_window() -> None:
    backoff = Backoff(first=2, longest=100, window=1000)
    waits = [backoff.next_try(n, 0, 0, lambda: 1.0) for n in range(1, 9)]
    assert waits == [2, 4, 8, 16, 32, 64, 100, 100]
    assert backoff.next_try(5, 0, 0, lambda: 0.5) == 16
    assert backoff.next_try(5, 0, 0, lambda: 0.0) == 0.1
    assert backoff.next_try(1, 0, 0, lambda: 1.0, asked=30) == 32
    assert backoff.next_try(9, 0, 950, lambda: 1.0) == 1000, "a last try at the end"
    assert backoff.next_try(9, 0, 1000, lambda: 1.0) is None
    assert backoff.next_try(10_000, 0, 0, lambda: 1.0) == 100


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5", 5), ("0", 0), ("-3", 0), ("1.5", 1.5), ("99999999", 3600), ("nan", None), ("", None),
        ("soon", None), ("inf", 3600), ("Fri, 02 Jan 2026 03:04:35 GMT", 30),
        ("Thu, 01 Jan 2026 00:00:00 GMT", 0), ("Fri, 99 Jan 2026 03:04:35 GMT", None),
    ],
)  # fmt: skip
def test_retry_after(text: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": text}, NOW) == seconds


def test_no_retry_after() -> None:
    assert retry_after({}, NOW) is None
