"""One-port mode: what reaches the management API through the collector, and how."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from penstock.events.model import Source
from penstock.workspace.store import Workspace
from tests.running import RunningPenstock, free_ports

BIG = 20_000_000


class Api:
    """Stands in for the management API: tells what it heard, and streams."""

    def __init__(self, port: int) -> None:
        self.streams = 0
        self.ended = 0
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._app,
                port=port,
                interface="asgi3",
                lifespan="off",
                log_config=None,
                proxy_headers=False,
            )
        )
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(60)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        if path == "/api/stream":
            await self._stream(send, receive, 1 << 30)
        elif path == "/api/three":
            await self._stream(send, receive, 3)
        elif path == "/api/big":
            await _start(send, 200, [(b"content-type", b"text/csv")])
            for _ in range(BIG // 100_000):
                await _part(send, b"x" * 100_000)
            await send({"type": "http.response.body", "body": b""})
        elif path == "/api/empty":
            await _start(send, 204, [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")])
            await send({"type": "http.response.body", "body": b""})
        elif path == "/api/cut":
            await _start(send, 200, [(b"content-length", b"100")])
            await _part(send, b"half")
            raise ConnectionError
        else:
            await self._echo(scope, receive, send)

    async def _echo(self, scope: Any, receive: Any, send: Any) -> None:
        digest, size, more = hashlib.sha256(), 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            digest.update(message["body"])
            size += len(message["body"])
            more = message["more_body"]
        heard = {
            "method": scope["method"],
            "target": scope["raw_path"].decode() + "?" + scope["query_string"].decode(),
            "headers": [[name.decode(), value.decode()] for name, value in scope["headers"]],
            "size": size,
            "sha256": digest.hexdigest(),
        }
        body = json.dumps(heard).encode()
        await _start(send, 418, [(b"content-length", b"%d" % len(body)), (b"x-own", b"yes")])
        await send({"type": "http.response.body", "body": body})

    async def _stream(self, send: Any, receive: Any, events: int) -> None:
        """So many events; it is then silent until the client is gone."""
        self.streams += 1
        await _start(send, 200, [(b"content-type", b"text/event-stream; charset=utf-8")])
        await receive()
        gone = asyncio.ensure_future(receive())
        number = 0
        while not gone.done():
            number += 1
            if number <= events:
                await _part(send, b"data: %d\n\n" % number)
            await asyncio.wait({gone}, timeout=0.1)
        self.ended += 1


async def _start(send: Any, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _part(send: Any, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


class Collector:
    """A collector role of its own, without an engine."""

    def __init__(self, folder: Path, api_port: int, **settings: object) -> None:
        (self.port,) = free_ports(1)
        given = {"data": str(folder), "host": "127.0.0.1", "port": self.port,
                 "console_port": api_port, "body_timeout": 60, **settings}  # fmt: skip
        workspace = Workspace(folder / "state.sqlite")
        workspace.put_sources([Source("web", "Web", "browser", write_keys=("web-key",))])
        workspace.close()
        self.log = folder / "collector.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "penstock.roles", "collector", "0", json.dumps(given)],
                stdin=subprocess.PIPE,
                stderr=log,
                cwd=folder,
            )
        deadline = time.monotonic() + 60
        while not self._listens():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[http.client.HTTPResponse, bytes]:
        made = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(made) as connection:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            with contextlib.closing(answer):
                return answer, answer.read()

    def heard(self, method: str, path: str, body: Any = None, **headers: str) -> dict[str, Any]:
        """What the API heard of a request."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer, content = self.ask(method, path, body, named)
        assert answer.status == 418
        told: dict[str, Any] = json.loads(content)
        return told

    def stop(self) -> float:
        """End it in order; seconds that took."""
        began = time.monotonic()
        self.process.terminate()
        self.process.wait(120)
        return time.monotonic() - began

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        assert self.process.stdin is not None
        self.process.stdin.close()


@pytest.fixture(scope="module")
def api() -> Iterator[tuple[Api, int]]:
    (port,) = free_ports(1)
    api = Api(port)
    yield api, port
    api.close()


@pytest.fixture(scope="module")
def collector(
    api: tuple[Api, int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Collector]:
    collector = Collector(tmp_path_factory.mktemp("one-port"), api[1], one_port=True)
    yield collector
    collector.close()


def test_requests_and_answers_pass_as_they_are(collector: Collector) -> None:
    body = os.urandom(300_000)
    heard = collector.heard(
        "PATCH", "/api/v1/sources/w%C3%BCb?a=1&b=%20", body, authorization="Bearer t", cookie="s=1"
    )
    assert heard["method"] == "PATCH"
    assert heard["target"] == "/api/v1/sources/w%C3%BCb?a=1&b=%20"
    assert (heard["size"], heard["sha256"]) == (300_000, hashlib.sha256(body).hexdigest())
    headers = dict(heard["headers"])
    assert (headers["authorization"], headers["cookie"]) == ("Bearer t", "s=1")
    assert headers["host"] == f"127.0.0.1:{collector.port}"
    answer, _ = collector.ask("GET", "/api")
    assert (answer.status, answer.headers["x-own"]) == (418, "yes")
    assert len(answer.headers.get_all("date") or []) == 1


def test_a_body_in_chunks(collector: Collector) -> None:
    heard = collector.heard("POST", "/api/v1/sql", iter([b"select ", b"1"]))
    assert (heard["size"], heard["sha256"]) == (8, hashlib.sha256(b"select 1").hexdigest())


def test_an_answer_without_a_body_keeps_each_cookie(collector: Collector) -> None:
    answer, content = collector.ask("DELETE", "/api/empty")
    assert (answer.status, content) == (204, b"")
    assert answer.headers.get_all("set-cookie") == ["a=1", "b=2"]
    told = dict(collector.heard("GET", "/api/v1")["headers"])
    assert "cookie" not in told, "a cookie of one client was given to another"


def test_a_large_answer_streams(collector: Collector) -> None:
    _, content = collector.ask("GET", "/api/big")
    assert len(content) == BIG


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("x_forwarded_for", "6.6.6.6", "6.6.6.6"),
        ("x_forwarded_for", "6.6.6.6, 198.51.100.7", "198.51.100.7"),
        ("x_forwarded_for", "2001:db8::7", "2001:db8::7"),
        ("x_forwarded_for", "[2001:db8::7]:443", "2001:db8::7"),
        ("x_forwarded_for", "rubbish", "127.0.0.1"),
        ("forwarded", "for=6.6.6.6", "127.0.0.1"),
        ("x_real_ip", "6.6.6.6", "127.0.0.1"),
    ],
)
def test_the_api_hears_one_sender(
    collector: Collector, name: str, value: str, expected: str
) -> None:
    """Here the test itself is a trusted proxy."""
    headers = collector.heard("GET", "/api/v1", None, **{name: value})["headers"]
    assert [v for n, v in headers if n == "x-forwarded-for"] == [expected]
    assert not {"forwarded", "x-real-ip"} & {n for n, _ in headers}


def test_of_who_is_no_trusted_proxy_nothing_is_believed(
    api: tuple[Api, int], tmp_path: Path
) -> None:
    collector = Collector(tmp_path, api[1], one_port=True, trusted_proxies="10.0.0.0/8")
    try:
        claims = {"x_forwarded_for": "6.6.6.6", "x_forwarded_proto": "https",
                  "x_forwarded_host": "evil.test", "x_forwarded_prefix": "/x"}  # fmt: skip
        headers = dict(collector.heard("GET", "/api/v1", None, **claims)["headers"])
    finally:
        collector.close()
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == "http"
    assert headers["x-forwarded-host"] == f"127.0.0.1:{collector.port}"
    assert "x-forwarded-prefix" not in headers


def test_other_sites_get_no_permission_to_use_the_api(collector: Collector) -> None:
    """The tracking API lets every site in; here that would give away a login."""
    asked = {"origin": "https://evil.test", "access-control-request-method": "POST"}
    for method in ("OPTIONS", "GET"):
        answer, _ = collector.ask(method, "/api/v1/sources", None, asked)
        assert answer.status == 418
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_the_profile_api_is_handed_on_too(collector: Collector) -> None:
    path = "/v1/spaces/default/collections/users/profiles/user_id:u1/traits"
    answer, _ = collector.ask("GET", path)
    assert answer.status == 418


@pytest.mark.parametrize(
    "path", ["/apis", "/api2/v1", "//api", "/v1/../api", "/", "/console", "/v1/spacesuits"]
)
def test_only_the_api_is_handed_on(collector: Collector, path: str) -> None:
    answer, _ = collector.ask("GET", path)
    assert answer.status == 404


def test_without_the_setting_there_is_no_api(api: tuple[Api, int], tmp_path: Path) -> None:
    collector = Collector(tmp_path, api[1])
    try:
        statuses = [collector.ask(m, "/api/v1")[0].status for m in ("GET", "POST", "DELETE")]
    finally:
        collector.close()
    assert statuses == [404, 404, 404]


def test_events_stream_as_they_come_and_end_with_the_client(
    collector: Collector, api: tuple[Api, int]
) -> None:
    before = api[0].ended
    with socket.create_connection(("127.0.0.1", collector.port), timeout=60) as client:
        client.sendall(b"GET /api/three HTTP/1.1\r\nHost: x\r\n\r\n")
        heard = b""
        while b"data: 3\n" not in heard:  # nothing comes after it that would push it along
            heard += client.recv(1000)
    deadline = time.monotonic() + 60
    while api[0].ended == before:
        assert time.monotonic() < deadline, "the API still streams to nobody"
        time.sleep(0.05)


def test_a_stream_does_not_hold_up_the_end(api: tuple[Api, int], tmp_path: Path) -> None:
    collector = Collector(tmp_path, api[1], one_port=True)
    try:
        with socket.create_connection(("127.0.0.1", collector.port), timeout=60) as client:
            client.sendall(b"GET /api/stream HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"200" in client.recv(1000)
            assert collector.stop() < 10, "it was waited for as long as a request may take"
            heard = b""
            while part := client.recv(65_536):
                heard += part
            assert heard.endswith(b"0\r\n\r\n"), "the stream was not ended in order"
        assert collector.process.returncode == 0
        assert '"level": "error"' not in collector.log.read_text()
    finally:
        collector.close()


def test_the_tracking_api_goes_on_beside_streams(collector: Collector) -> None:
    clients = [socket.create_connection(("127.0.0.1", collector.port)) for _ in range(20)]
    for client in clients:
        client.sendall(b"GET /api/stream HTTP/1.1\r\nHost: x\r\n\r\n")
    body = json.dumps({"userId": "u1", "event": "Tea", "writeKey": "web-key"})
    assert collector.ask("POST", "/v1/track", body)[0].status == 200
    for client in clients:
        client.close()


def test_an_api_that_does_not_answer(tmp_path: Path) -> None:
    (nobody,) = free_ports(1)
    collector = Collector(tmp_path, nobody, one_port=True)
    try:
        answer, content = collector.ask("POST", "/api/v1/sources", b"{}")
    finally:
        collector.close()
    assert answer.status == 503
    assert json.loads(content) == {
        "error": {
            "code": "unavailable",
            "message": "the management API does not answer just now; try again",
            "detail": None,
        }
    }


def test_an_answer_that_is_cut_short_is_seen_as_such(collector: Collector) -> None:
    with pytest.raises(http.client.IncompleteRead):
        collector.ask("GET", "/api/cut")


def test_a_body_that_does_not_come(api: tuple[Api, int], tmp_path: Path) -> None:
    collector = Collector(tmp_path, api[1], one_port=True, body_timeout=1)
    with (
        contextlib.closing(collector),
        socket.create_connection(("127.0.0.1", collector.port), timeout=60) as client,
    ):
        client.sendall(b"POST /api/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
        heard = b""
        while part := client.recv(1000):
            heard += part
    assert heard.startswith(b"HTTP/1.1 408")


def test_one_sender_can_not_take_all_there_is(collector: Collector) -> None:
    """Requests that are never finished hold up their sender, and nobody else."""
    head = b"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"
    with contextlib.ExitStack() as opened:
        for _ in range(20):
            client = socket.create_connection(("127.0.0.1", collector.port), timeout=60)
            opened.enter_context(client).sendall(head)
        deadline = time.monotonic() + 60
        while collector.ask("GET", "/api/empty")[0].status != 503:
            assert time.monotonic() < deadline
        other = {"X-Forwarded-For": "198.51.100.9"}
        assert collector.ask("GET", "/api/empty", headers=other)[0].status == 204


def test_a_body_that_is_too_large(api: tuple[Api, int], tmp_path: Path) -> None:
    """The size ends it, not the time: a slow machine needs seconds for so much."""
    collector = Collector(tmp_path, api[1], one_port=True, body_timeout=600)
    sent = 0
    with (
        contextlib.closing(collector),
        socket.create_connection(("127.0.0.1", collector.port), timeout=60) as client,
    ):
        client.sendall(b"POST /api/v1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            while sent < 60_000_000:
                client.sendall(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
                sent += 65_536
    assert 16_000_000 < sent < 50_000_000


def test_a_killed_api_is_told(tmp_path: Path) -> None:
    """The API dies in the middle of a request; the collector lives on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        collector = Collector(tmp_path, server.getsockname()[1], one_port=True)

        def die() -> None:
            connection, _ = server.accept()
            connection.recv(1000)
            connection.close()

        dying = threading.Thread(target=die)
        dying.start()
        try:
            answer, content = collector.ask("GET", "/api/v1")
            dying.join(60)
            assert (answer.status, json.loads(content)["error"]["code"]) == (502, "unavailable")
            assert collector.ask("GET", "/health")[0].status == 200
        finally:
            collector.close()


def test_the_real_api_through_the_one_port(tmp_path: Path) -> None:
    penstock = RunningPenstock(tmp_path, settings={"PENSTOCK_ONE_PORT": "true"})
    penstock.apply("sources:\n  web: {type: browser, write_keys: [web-key]}\n")
    try:
        penstock.start()
        token_of_commands = penstock.wait_for_api()
        url = f"{penstock.url}/api/v1"
        assert call(f"{url}/sources")[0] == 401
        token = {"Authorization": f"Bearer {token_of_commands}"}
        status, body = call(f"{url}/sources", headers=token)
        assert (status, body["items"][0]["slug"]) == (200, "web")
        by_address = {}
        for address in ("198.51.100.7", "2001:db8::7"):
            by_address[address] = [
                call(
                    f"{url}/login",
                    {"name": f"{address} {number}", "password": "not the password"},
                    {"X-Forwarded-For": address},
                )[0]
                for number in range(31)
            ]
        assert by_address == dict.fromkeys(by_address, [401] * 30 + [429])
        assert penstock.stop() == 0
    finally:
        penstock.close()


def call(
    url: str, body: object = None, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, Any]]:
    """(status, decoded body) of a GET, or of a POST when there is a body."""
    data = None if body is None else json.dumps(body).encode()
    given = {"Content-Type": "application/json", **(headers or {})}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, given), timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())
