"""A collector with too many connections, clients that do not read, or a disk that fills."""

from __future__ import annotations

import contextlib
import gzip
import json
import logging
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.ingest.disk import Disk, room_on_disk
from penstock.ingest.protocol import Limits, close_late, limited
from penstock.settings import Settings
from tests.ingest.collecting import Collecting
from tests.running import RunningPenstock

MOST = 20
WORKSPACE = "sources:\n  web: {type: browser, write_keys: [web-key]}\n"
GET = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def penstock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPenstock]:
    running = RunningPenstock(
        tmp_path_factory.mktemp("edges"),
        settings={"PENSTOCK_MAX_CONNECTIONS": str(MOST), "PENSTOCK_BODY_TIMEOUT": "120s"},
    )
    running.apply(WORKSPACE)
    try:
        running.start()
        yield running
    finally:
        running.close()


@contextlib.contextmanager
def connections(penstock: RunningPenstock, count: int) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection(("127.0.0.1", penstock.port), timeout=60))
            for _ in range(count)
        ]


def status(client: socket.socket, request: bytes = GET) -> int:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        client.sendall(request)
    heard = b""
    while not heard.endswith(b"}"):
        part = client.recv(65_536)
        assert part, "closed"
        heard += part
    return int(heard[9:12])


def free_again(penstock: RunningPenstock) -> None:
    """Wait until the collector has seen that former connections are gone."""
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(ConnectionResetError), connections(penstock, 1) as (client,):
            if status(client) == 200:
                return
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_connections_beyond_the_limit_are_told_to_come_back(penstock: RunningPenstock) -> None:
    free_again(penstock)
    with connections(penstock, MOST) as taken:
        for client in taken:
            assert status(client) == 200
            client.sendall(GET[:-2])  # the next request has begun: this connection does not rest
        with connections(penstock, 3) as others:
            heard = [other.recv(65_536) for other in others]
        assert [said[:12] for said in heard] == [b"HTTP/1.1 503"] * 3
        head, _, body = heard[0].partition(b"\r\n\r\n")
        assert b"retry-after: 5\r\n" in head
        assert json.loads(body)["code"] == "unavailable"
        assert status(taken[0], GET[-2:]) == 200
    free_again(penstock)


def test_when_crowded_connections_at_rest_make_room(penstock: RunningPenstock) -> None:
    free_again(penstock)
    began = time.monotonic()
    with connections(penstock, MOST - 1) as resting:
        assert [status(client) for client in resting] == [200] * (MOST - 1)
        assert resting[0].recv(1000) == b""
        assert 4 < time.monotonic() - began < 60, "without a crowd it may rest 75 seconds"
    free_again(penstock)


def test_the_rest_of_a_request_answered_early_is_read_only_so_far(
    penstock: RunningPenstock,
) -> None:
    """Its end may be trailers, which no body timer sees."""
    free_again(penstock)
    head = b"POST /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    sent = 0
    with connections(penstock, 1) as (client,):
        client.sendall(head)
        try:
            while sent < 100_000_000:
                client.sendall(b"X-Trailer: 1\r\n" * 5000)
                sent += 70_000
        except (ConnectionResetError, BrokenPipeError):
            pass
    assert sent < 30_000_000


def test_who_does_not_read_its_answers_is_cut_in_the_end() -> None:
    class Transport:
        was_aborted = was_closed = False

        def abort(self) -> None:
            self.was_aborted = True

        def close(self) -> None:
            self.was_closed = True

    class Loop:
        now = 0.0

        def time(self) -> float:
            return self.now

    limits = Limits()
    kind = limited(limits)
    stuck = kind.__new__(kind)
    stuck.loop, stuck.transport = Loop(), Transport()  # type: ignore[assignment]
    stuck.flow = type("Flow", (), {"pause_writing": lambda _: 0, "resume_writing": lambda _: 0})()
    stuck.pause_writing()
    close_late([stuck], limits, 74)
    assert not stuck.transport.was_aborted  # type: ignore[attr-defined]
    stuck.resume_writing()
    close_late([stuck], limits, 1000)
    assert not stuck.transport.was_aborted  # type: ignore[attr-defined]
    stuck.pause_writing()
    close_late([stuck], limits, 76)
    assert stuck.transport.was_aborted  # type: ignore[attr-defined]


def test_a_gzip_body_of_very_many_parts_takes_no_time(collecting: Collecting) -> None:
    body = gzip.compress(b"") * 25_000
    assert len(body) < 512 * 1024
    began = time.process_time()
    answer = collecting.send("POST", "/v1/b", body, headers={"content-encoding": "gzip"})
    assert (answer.status, answer.json()["code"]) == (400, "bad_request")
    assert time.process_time() - began < 0.5


def test_a_gzip_body_of_a_few_parts_is_read(collecting: Collecting) -> None:
    event = b'{"userId":"u1","event":"Tea","writeKey":"web-key"}'
    body = b"".join(gzip.compress(event[start : start + 5]) for start in range(0, len(event), 5))
    answer = collecting.send("POST", "/v1/t", body, headers={"content-encoding": "gzip"})
    assert answer.status == 200
    assert len(collecting.events()) == 1


MB = 1_000_000


def test_the_disk_is_warned_of_before_it_is_full(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    free = [900 * MB]
    settings = Settings(data=tmp_path, warn_free_disk=500 * MB, min_free_disk=100 * MB)
    with caplog.at_level(logging.INFO):
        disk = Disk(settings, lambda _: free[0])
        seen = []
        for megabytes in (900, 499, 498, 101, 99, 98, 100, 600):
            free[0] = megabytes * MB
            disk.look()
            seen.append((disk.room, disk.has_room))
    assert [room for room, _ in seen] == [
        "enough", "low", "low", "low", "none", "none", "low", "enough"
    ]  # fmt: skip
    assert [has for _, has in seen] == [True, True, True, True, False, False, True, True]
    told = [(r.getMessage().partition(";")[0], vars(r)["facts"]["free_mb"]) for r in caplog.records]
    assert told == [
        ("the disk is filling up", 499),
        ("the disk is nearly full: events are answered with 503 until there is room", 99),
        ("the disk is filling up", 100),
        ("the disk has room again", 600),
    ]


def test_a_warning_level_below_the_other_never_hides_it(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, warn_free_disk=0, min_free_disk=100 * MB)
    assert room_on_disk(settings, 99 * MB) == "none"
    assert room_on_disk(settings, 100 * MB) == "enough"


def test_ready_says_whether_events_can_be_written(collecting: Collecting) -> None:
    collecting.has_room = False
    answer = collecting.send("GET", "/ready")
    assert (answer.status, answer.json()["code"]) == (503, "unavailable")
    assert collecting.send("GET", "/health").status == 200
    collecting.has_room = True
    assert collecting.send("GET", "/ready").status == 200
