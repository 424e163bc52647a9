"""Nothing a client sends gives a 5xx, an exception, or an event that is in neither topic."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.events import CALLS, INGEST_CODES, Record, RejectedRecord
from penstock.ingest.accept import Acceptance
from penstock.ingest.committer import GroupCommitter
from penstock.ingest.routes import PIXEL_CALLS, POST_CALLS, split
from penstock.warehouses.staging import decode_event
from tests.ingest.collecting import SOURCES, Answer, Collecting, basic
from tests.ingest.requests import Sent, random_request

SOAK_REQUESTS = 1_000_000
SOAK_ROUND = 2_000
ENABLED = {key for key, source in SOURCES.items() if source.enabled}


class Recorder(GroupCommitter):
    """Remembers what each request brought; writes it only when told to be durable."""

    durable = True
    taken: list[Acceptance]

    def commit(self, acceptance: Acceptance, size: int) -> asyncio.Future[None]:
        self.taken.append(acceptance)
        if self.durable:
            return super().commit(acceptance, size)
        future = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future


class Fuzz:
    """A collector, and the law that each request is held against."""

    def __init__(self, folder: Path, *, durable: bool) -> None:
        self.collecting = Collecting(folder, committer=Recorder, trusted_proxies="203.0.113.0/24")
        assert isinstance(self.collecting.committer, Recorder)
        self.recorder = self.collecting.committer
        self.recorder.durable = durable
        self.recorder.taken = []
        self.records: list[Record] = []
        self.rejected: list[RejectedRecord] = []
        self.statuses: dict[int, int] = {}

    def check(self, requests: list[Sent]) -> None:
        self.collecting.run(self._check_all(requests))

    async def _check_all(self, requests: list[Sent]) -> None:
        for sent in requests:
            self.recorder.taken.clear()
            answer = await self.collecting.drive(
                sent.method, sent.path, sent.body, headers=sent.headers, query=sent.query
            )
            self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
            check_law(sent, answer, self.recorder.taken)
            if self.recorder.durable:
                for acceptance in self.recorder.taken:
                    self.records += acceptance.records
                    self.rejected += acceptance.rejected


def check_law(sent: Sent, answer: Answer, taken: list[Acceptance]) -> None:
    """What was accepted is readable, what was refused is kept, and nothing is in between."""
    assert answer.status < 500, answer
    records = [record for acceptance in taken for record in acceptance.records]
    rejected = [record for acceptance in taken for record in acceptance.rejected]
    for record in records:
        check_record(record)
    path = split(sent.path)
    if sent.method != "POST" or path not in POST_CALLS:
        assert not taken or (path in PIXEL_CALLS and sent.method == "GET")
        return
    assert len(taken) == 1
    assert {record.code for record in rejected} <= INGEST_CODES.keys()
    kept = [record for record in rejected if record.code != "too_many_properties"]
    if answer.status != 200:
        assert answer.status in (400, 401)
        assert (len(records), len(kept)) == (0, 1)
        original = sent.body if sent.plain is None else sent.plain
        assert kept[0].original in (original, original[: 512 * 1024], sent.body)
        assert kept[0].code == answer.json()["code"]
    elif "rejected" not in answer.json():
        assert records
        assert not rejected
    if sent.plain is not None:
        check_count(sent, answer, len(records), kept)


def check_record(record: Record) -> None:
    event = decode_event(record.payload)
    assert event.type in CALLS
    assert event.message_id == record.message_id != ""
    assert event.user_id or event.anonymous_id
    assert "writeKey" not in msgspec.json.decode(record.payload, type=dict[str, msgspec.Raw])


def check_count(sent: Sent, answer: Answer, records: int, kept: list[RejectedRecord]) -> None:
    """By another JSON parser: each item of a valid batch is accepted or kept."""
    try:
        body = parse((sent.plain or b"").removeprefix(b"\xef\xbb\xbf").decode())
    except (ValueError, RecursionError):
        assert records + len(kept) <= 1 or b'"batch"' in (sent.plain or b"")
        return
    if POST_CALLS[split(sent.path)] != "batch":
        assert records + len(kept) == 1
        return
    items = body.get("batch") if isinstance(body, dict) else None
    known = sent.headers.get("authorization") in {basic(k + c) for k in ENABLED for c in (":", "")}
    if isinstance(items, list) and items and len(items) <= 2500 and known:
        if answer.status == 200:
            assert records + len(kept) == len(items)
        else:
            assert kept[0].code in ("too_deep", "invalid_json", "too_large")


def parse(text: str) -> Any:
    """Strict JSON, with more room for depth than the collector has."""

    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    before = sys.getrecursionlimit()
    sys.setrecursionlimit(6_000)
    try:
        return json.loads(text, parse_constant=refuse, parse_int=str, parse_float=str)
    finally:
        sys.setrecursionlimit(before)


@pytest.fixture(scope="module")
def fuzz(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzz]:
    fuzz = Fuzz(tmp_path_factory.mktemp("fuzz"), durable=True)
    yield fuzz
    fuzz.collecting.close()


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(rng=st.randoms(use_true_random=False))
def test_any_request(fuzz: Fuzz, rng: Random) -> None:
    fuzz.check([random_request(rng)])


def test_many_seeded_requests_all_reach_the_journal(tmp_path: Path) -> None:
    fuzz = Fuzz(tmp_path, durable=True)
    rng = Random(20260105)
    fuzz.check([random_request(rng) for _ in range(1_500)])
    assert [r.payload for r in fuzz.collecting.received()] == [r.payload for r in fuzz.records]
    assert [r.original for r in fuzz.collecting.rejected()] == [r.original for r in fuzz.rejected]
    assert len(fuzz.records) > 300
    assert len(fuzz.rejected) > 200
    assert {200, 400, 401} <= fuzz.statuses.keys()
    fuzz.collecting.close()


@pytest.mark.soak
@pytest.mark.skipif("PENSTOCK_SOAK" not in os.environ, reason="make soak runs it")
@pytest.mark.timeout(0)
def test_a_million_requests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fuzz = Fuzz(tmp_path, durable=False)
    seed = int(os.environ.get("PENSTOCK_SOAK_SEED", time.time_ns()))
    began = time.monotonic()
    done = 0
    while done < SOAK_REQUESTS:
        rng = Random(f"{seed}/{done}")
        try:
            fuzz.check([random_request(rng) for _ in range(SOAK_ROUND)])
        except BaseException:
            with capsys.disabled():
                print(f"PENSTOCK_SOAK_SEED={seed}, round {done}")  # noqa: T201
            raise
        done += SOAK_ROUND
        if done % 50_000 == 0:
            rate = done / (time.monotonic() - began)
            with capsys.disabled():
                print(  # noqa: T201
                    f"fuzz: {done:,} requests, {rate:,.0f}/s, {fuzz.statuses}", flush=True
                )
    fuzz.collecting.close()
