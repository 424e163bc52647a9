"""Events reach the tracking API in order, within its limits, and survive its refusals."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from penstock.demo import SendResult, send
from penstock.errors import DemoError

Answer = tuple[int, dict[str, str]]


class Collector(ThreadingHTTPServer):
    """Answers as told (then 200), and keeps what it accepted and what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[Answer | None] = []
        self.bodies: list[bytes] = []
        self.accepted: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.connections: set[Any] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(body)
        self.server.paths.append(self.path)
        self.server.connections.add(self.client_address)
        answer = self.server.answers.pop(0) if self.server.answers else (200, {})
        if answer is None:  # the connection breaks
            self.close_connection = True
            return
        status, headers = answer
        if status == 200:
            raw = body
            if self.headers["Content-Encoding"] == "gzip":
                raw = gzip.decompress(body)
            self.server.accepted.append(json.loads(raw))
        self.send_response(status)
        for name, value in (headers | {"Content-Length": "2"}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def items(count: int, size: int = 10) -> list[dict[str, Any]]:
    return [{"type": "track", "messageId": f"m{n}", "x": "x" * size} for n in range(count)]


def nothing(_: float) -> None:
    pass


def test_all_events_in_order_over_one_connection(collector: Collector) -> None:
    progress: list[int] = []
    result = send(items(1201), collector.url + "/", "key", progress.append)

    assert [len(body["batch"]) for body in collector.accepted] == progress == [500, 500, 201]
    sent = [event["messageId"] for body in collector.accepted for event in body["batch"]]
    assert sent == [f"m{n}" for n in range(1201)]
    assert {body["writeKey"] for body in collector.accepted} == {"key"}
    assert set(collector.paths) == {"/v1/batch"}
    assert len(collector.connections) == 1
    assert result == SendResult(1201, 3, 0, sum(map(len, collector.bodies)))


def test_requests_stay_below_the_size_limit(collector: Collector) -> None:
    send(items(100, size=20_000), collector.url, "key", lambda _: None)

    assert max(map(len, collector.bodies)) < 450_000
    assert sum(len(body["batch"]) for body in collector.accepted) == 100


def test_an_event_that_is_too_large_is_refused(collector: Collector) -> None:
    with pytest.raises(DemoError, match="m0 is too large"):
        send(items(1, size=32_000), collector.url, "key", lambda _: None)


def test_gzip(collector: Collector) -> None:
    send(items(10, size=1000), collector.url, "key", lambda _: None, compress=True)

    assert len(collector.bodies[0]) < 1000
    assert len(collector.accepted[0]["batch"]) == 10


def test_refusals_and_breaks_are_tried_again_with_the_same_body(collector: Collector) -> None:
    collector.answers = [(429, {"Retry-After": "7"}), (503, {}), None, (200, {})]
    pauses: list[float] = []
    result = send(items(3), collector.url, "key", lambda _: None, sleep=pauses.append)

    assert result.retries == 3
    assert len(set(collector.bodies)) == 1
    assert len(collector.accepted) == 1
    assert pauses == [7.0, 0.4, 0.8]


def test_retry_after_may_be_a_date_and_is_bounded(collector: Collector) -> None:
    collector.answers = [
        (429, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        (429, {"Retry-After": "Wed, 21 Oct 2099 07:28:00 GMT"}),
        (429, {"Retry-After": "soon"}),
    ]
    pauses: list[float] = []
    send(items(1), collector.url, "key", lambda _: None, sleep=pauses.append)

    assert pauses == [0.0, 30.0, 0.8]


@pytest.mark.parametrize("status", [400, 401, 413])
def test_a_final_refusal_is_an_error(collector: Collector, status: int) -> None:
    collector.answers = [(status, {})]
    with pytest.raises(DemoError, match=f"status {status}: ok"):
        send(items(1), collector.url, "key", lambda _: None, sleep=nothing)

    assert len(collector.bodies) == 1


def test_it_gives_up_after_a_while(collector: Collector) -> None:
    collector.answers = [(500, {})] * 100
    pauses: list[float] = []
    with pytest.raises(DemoError, match="8 attempts"):
        send(items(1), collector.url, "key", lambda _: None, sleep=pauses.append)

    assert len(pauses) == 7


def test_nobody_listens() -> None:
    with pytest.raises(DemoError, match="ConnectionRefusedError"):
        send(items(1), "http://127.0.0.1:9", "key", lambda _: None, sleep=nothing)


@pytest.mark.parametrize("url", ["ftp://x", "localhost:8080", "http://"])
def test_a_senseless_address_is_refused(url: str) -> None:
    with pytest.raises(DemoError, match="not an http address"):
        send(items(1), url, "key", lambda _: None)


def test_a_senseless_batch_size_is_refused() -> None:
    with pytest.raises(DemoError, match="batch size"):
        send(items(1), "http://127.0.0.1:9", "key", lambda _: None, 501)
