"""The rate limit of a source: exact over time, before the events are read, told to the sender."""

from __future__ import annotations

import itertools
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from random import Random

import pytest
from segment.analytics.client import Client

from penstock.events.model import Source
from penstock.ingest.rate import BURST_S, RateLimited, RateLimits
from tests.ingest.collecting import Collecting
from tests.running import RunningPenstock

EVENT = {"userId": "u1", "event": "Tea Poured"}
WORKSPACE = """
sources:
  slow: {type: server, write_keys: [slow-key], rate_limit: 5}
  free: {type: server, write_keys: [free-key]}
"""


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def limited(rate: int) -> Source:
    return Source("slow", "Slow", rate_limit=rate)


def let_in(limits: RateLimits, source: Source, events: int = 1) -> bool:
    try:
        limits.check(source)
    except RateLimited:
        return False
    limits.take(source.slug, events)
    return True


@pytest.mark.parametrize(("rate", "workers"), [(1, 1), (10, 1), (10, 4), (3, 8), (1000, 2)])
def test_a_burst_passes_then_the_rate(rate: int, workers: int) -> None:
    clock = Clock()
    limits = RateLimits(workers, clock)
    source = limited(rate)
    share = rate / workers
    first = sum(let_in(limits, source) for _ in range(20_000))
    assert first == max(int(share * BURST_S), 1)
    passed = 0
    for _ in range(60 * 50):
        clock.now += 0.02
        passed += sum(let_in(limits, source) for _ in range(30))
    assert passed == pytest.approx(share * 60, abs=1)


@pytest.mark.parametrize("seed", range(5))
def test_batches_of_any_size_keep_the_rate_in_the_long_run(seed: int) -> None:
    rng, clock = Random(seed), Clock()
    limits, source = RateLimits(1, clock), limited(50)
    events = 0
    for _ in range(20_000):
        clock.now += rng.random() * 0.5
        size = rng.choice([1, 1, 10, 500, 2500])
        if let_in(limits, source, size):
            events += size
    seconds = clock.now - 100
    assert 50 * seconds - 2500 <= events <= 50 * (seconds + BURST_S) + 2500


def test_the_sender_is_told_when_there_is_room_again() -> None:
    clock = Clock()
    limits, source = RateLimits(1, clock), limited(50)
    assert let_in(limits, source, 2500)
    with pytest.raises(RateLimited) as caught:
        limits.check(source)
    assert caught.value.seconds == 41  # 2,000 too many, and one
    assert "50 events per second; send again in 41 s" in str(caught.value)
    clock.now += 40
    assert not let_in(limits, source)
    clock.now += 1
    assert let_in(limits, source)


def test_a_changed_limit_counts_at_once_and_one_taken_away_leaves_no_debt() -> None:
    clock = Clock()
    limits = RateLimits(1, clock)
    assert let_in(limits, limited(1), 1000)
    assert not let_in(limits, limited(1))
    assert let_in(limits, limited(2))
    unlimited = Source("slow", "Slow")
    assert all(let_in(limits, unlimited, 1000) for _ in range(10))
    assert let_in(limits, limited(2))


def test_sources_do_not_share() -> None:
    limits = RateLimits(1, Clock())
    other = Source("other", "Other", rate_limit=1)
    assert let_in(limits, limited(1), 1000)
    assert not let_in(limits, limited(1))
    assert let_in(limits, other)
    assert limits.turned_away == {"slow": 1}


@pytest.fixture
def collecting(collecting: Collecting) -> Collecting:
    """With a source that may send 10 events a second, and 100 at once."""
    slow = Source("slow", "Slow", write_keys=("slow-key",), rate_limit=10)
    collecting.sources["slow-key"] = slow
    return collecting


def spend(collecting: Collecting, events: int = 100) -> None:
    """Send as many events of the limited source at once."""
    batch = {"batch": [{"type": "track", **EVENT} for _ in range(events)]}
    assert collecting.post("/v1/batch", batch, key="slow-key").status == 200


@pytest.mark.parametrize("place", ["header", "query", "body", "first-item"])
def test_429_wherever_the_write_key_is(collecting: Collecting, place: str) -> None:
    spend(collecting)
    before = len(collecting.received())
    body: dict[str, object] = dict(EVENT)
    path, query = "/v1/track", b""
    if place == "body":
        body["writeKey"] = "slow-key"
    if place == "first-item":
        path, body = "/v1/batch", {"batch": [{"type": "track", "writeKey": "slow-key", **EVENT}]}
    if place == "query":
        query = b"writeKey=slow-key"
    if place == "header":
        answer = collecting.post(path, body, key="slow-key")
    else:
        answer = collecting.send("POST", path, json.dumps(body).encode(), query=query)
    assert answer.status == 429
    assert answer.json()["code"] == "rate_limited"
    assert answer.headers["retry-after"] == answer.headers["x-ratelimit-reset"] == "1"
    assert len(collecting.received()) == before
    assert collecting.rejected() == []
    assert collecting.limits.turned_away["slow"] == 1


def test_with_the_key_in_the_header_the_body_is_not_even_read(collecting: Collecting) -> None:
    spend(collecting)

    def parts() -> Iterator[bytes]:
        yield b"{"
        raise AssertionError("the body was read")

    answer = collecting.send(
        "POST", "/v1/track", parts=parts(), headers={"authorization": "Basic c2xvdy1rZXk6"}
    )
    assert answer.status == 429


def test_browsers_may_read_when_to_come_back(collecting: Collecting) -> None:
    spend(collecting)
    answer = collecting.post("/v1/t", EVENT, key="slow-key", headers={"origin": "https://a.test"})
    assert answer.status == 429
    assert "Retry-After" in answer.headers["access-control-expose-headers"]


def test_what_is_refused_counts_too(collecting: Collecting) -> None:
    items = {"batch": [{"type": "track", "userId": "u1"} for _ in range(100)]}
    assert collecting.post("/v1/batch", items, key="slow-key").status == 200
    assert len(collecting.rejected()) == 100
    assert collecting.post("/v1/track", EVENT, key="slow-key").status == 429


def test_requests_that_can_not_be_read_count_too(collecting: Collecting) -> None:
    headers = {"authorization": "Basic c2xvdy1rZXk6"}
    collecting.post("/v1/track", EVENT, key="slow-key")
    statuses = [
        collecting.send("POST", "/v1/track", b"{", headers=headers).status for _ in range(100)
    ]
    assert statuses == [400] * 99 + [429]


def test_a_batch_that_is_looked_at_item_by_item_counts_once(collecting: Collecting) -> None:
    items = [{"type": "track", **EVENT} for _ in range(98)] + [{"type": "track", "userId": 7}]
    assert collecting.post("/v1/batch", {"batch": items}, key="slow-key").status == 200
    assert collecting.post("/v1/track", EVENT, key="slow-key").status == 200
    assert collecting.post("/v1/track", EVENT, key="slow-key").status == 429


def test_others_are_not_held_up(collecting: Collecting) -> None:
    spend(collecting)
    assert collecting.post("/v1/track", EVENT, key="slow-key").status == 429
    assert collecting.post("/v1/track", EVENT, key="server-key").status == 200
    assert collecting.post("/v1/track", EVENT, key="nobody").status == 401


def test_a_pixel_gets_its_image_and_is_counted_as_lost(collecting: Collecting) -> None:
    spend(collecting)
    query = b"writeKey=slow-key&userId=u1&event=Open"
    answer = collecting.send("GET", "/v1/pixel/track", query=query)
    assert (answer.status, answer.headers["content-type"]) == (200, "image/gif")
    assert len(collecting.received()) == 100
    assert collecting.committer.tally.lost_pixels == 1


def test_time_brings_room(collecting: Collecting) -> None:
    spend(collecting, 120)
    for expected in (429, 429, 200):
        assert collecting.post("/v1/track", EVENT, key="slow-key").status == expected
        collecting.now_s += 1.1


@pytest.fixture(scope="module")
def penstock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPenstock]:
    running = RunningPenstock(tmp_path_factory.mktemp("rates"))
    running.apply(WORKSPACE)
    try:
        running.start()
        yield running
    finally:
        running.close()


def test_the_unmodified_sdk_comes_back_until_all_is_delivered(penstock: RunningPenstock) -> None:
    """75 events of a source that may send 50 at once and 5 a second."""
    errors: list[Exception] = []
    client = Client(
        "slow-key",
        host=penstock.url,
        upload_size=15,
        upload_interval=0.05,
        on_error=lambda error, _items: errors.append(error),
    )
    for number in range(75):
        client.track("u1", "Tea Poured", {"number": number})
    client.shutdown()
    assert errors == []
    rows = penstock.wait_for(
        "select count(distinct number) as n from slow.tea_poured", lambda rows: rows[0]["n"] == 75
    )
    assert rows == [{"n": 75}]
    assert "penstock_collector_rate_limited_requests" in metrics(penstock)


def test_senders_together_get_no_more_than_the_limit(penstock: RunningPenstock) -> None:
    """Four senders as fast as they can, for four seconds."""
    taken = itertools.count()
    began = time.monotonic()

    def send() -> None:
        while time.monotonic() < began + 4:
            if post(penstock, "slow-key") == 200:
                next(taken)

    senders = [threading.Thread(target=send) for _ in range(4)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    seconds = time.monotonic() - began
    assert next(taken) <= 5 * (seconds + BURST_S) + 1
    assert post(penstock, "free-key") == 200


def post(penstock: RunningPenstock, key: str) -> int:
    body = json.dumps({**EVENT, "writeKey": key}).encode()
    request = urllib.request.Request(f"{penstock.url}/v1/track", body)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def metrics(penstock: RunningPenstock) -> str:
    with urllib.request.urlopen(f"{penstock.url}/metrics", timeout=60) as answer:
        return str(answer.read().decode())


def test_the_limit_is_part_of_the_workspace_file(penstock: RunningPenstock) -> None:
    assert "rate_limit: 5" in penstock.command("export")
