"""A real collector on a real socket: HTTP as odd clients speak it, and changes while running."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from penstock.events import Record, RejectedRecord
from penstock.journal.contract import RECEIVED, REJECTED
from penstock.journal.sqlite import SqliteJournal
from tests.running import RunningPenstock

WORKSPACE = """
sources:
  web: {type: browser, write_keys: [web-key]}
"""
BODY = b'{"userId":"u1","event":"Tea Poured","writeKey":"web-key","messageId":"%s"}'
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")


@pytest.fixture(scope="module")
def penstock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPenstock]:
    yield from started(tmp_path_factory.mktemp("collector"), "60s")


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPenstock]:
    """It closes a client that is silent for a second."""
    yield from started(tmp_path_factory.mktemp("impatient"), "1s")


def started(folder: Path, body_timeout: str) -> Iterator[RunningPenstock]:
    running = RunningPenstock(folder, settings={"PENSTOCK_BODY_TIMEOUT": body_timeout})
    running.apply(WORKSPACE)
    try:
        running.start()
        yield running
    finally:
        running.close()


class Client:
    """A socket to the collector."""

    def __init__(self, penstock: RunningPenstock) -> None:
        self.socket = socket.create_connection(("127.0.0.1", penstock.port), timeout=60)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def say(self, data: bytes) -> None:
        self.socket.sendall(data)

    def hear(self, enough: Callable[[bytes], bool]) -> bytes:
        heard = b""
        while not enough(heard):
            try:
                part = self.socket.recv(65_536)
            except ConnectionResetError:
                break
            if not part:
                break
            heard += part
        return heard

    def statuses(self, count: int) -> list[int]:
        """The status of each of the next answers, all of which have small bodies."""
        heard = self.hear(lambda data: data.count(b"\r\n\r\n") >= count)
        return [int(status) for status in _STATUS.findall(heard)]

    def closes_within(self, seconds: float) -> bool:
        """Whether the server closes; what it says before is not looked at."""
        self.socket.settimeout(seconds)
        try:
            self.hear(lambda _: False)
        except TimeoutError:
            return False
        return True


def post(message_id: bytes, path: bytes = b"/v1/track", *extra: bytes) -> bytes:
    body = BODY % message_id
    head = [b"POST " + path + b" HTTP/1.1", b"Host: x", b"Content-Length: %d" % len(body), *extra]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def kept(penstock: RunningPenstock, topic: str) -> list[bytes]:
    journal = SqliteJournal(penstock.data / "journal")
    reading = journal.read(topic, 0, 0, 1 << 60)
    journal.close()
    return [block.body for block in reading.blocks]


def message_ids(penstock: RunningPenstock) -> list[str]:
    decode = msgspec.msgpack.Decoder(list[Record]).decode
    return [r.message_id for body in kept(penstock, RECEIVED) for r in decode(body)]


def rejected(penstock: RunningPenstock) -> list[RejectedRecord]:
    decode = msgspec.msgpack.Decoder(list[RejectedRecord]).decode
    return [r for body in kept(penstock, REJECTED) for r in decode(body)]


@pytest.mark.parametrize(
    ("name", "path", "extra"),
    [
        ("plain", b"/v1/track", []),
        ("slash", b"/v1/track/", []),
        ("percent", b"/v1/%74rack", []),
        ("absolute", b"http://cdp.test:8080/v1/track?x=1", []),
        ("query", b"/v1/t?%ff&a=%00", []),
        ("continue", b"/v1/t", [b"Expect: 100-continue"]),
        # what Java's HTTP client adds by default
        (
            "upgrade",
            b"/v1/t",
            [b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAEAAEAA"],
        ),
        ("websocket", b"/v1/t", [b"Connection: Upgrade", b"Upgrade: websocket"]),
        ("large-header", b"/v1/t", [b"X-Large: " + b"x" * 30_000]),
        ("latin-1", b"/v1/t", [b"X-Odd: \xff\xfe", b"Origin: \xff"]),
    ],
)
def test_ways_to_post(
    penstock: RunningPenstock, name: str, path: bytes, extra: list[bytes]
) -> None:
    with Client(penstock) as client:
        client.say(post(name.encode(), path, *extra))
        heard = client.hear(lambda data: b'{"success":true}' in data)
        assert [status for status in _STATUS.findall(heard) if status != b"100"] == [b"200"]
    assert name in message_ids(penstock)


def test_chunks_of_a_body(penstock: RunningPenstock) -> None:
    body = BODY % b"chunked"
    with Client(penstock) as client:
        client.say(b"POST /v1/t HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for start in range(0, len(body), 10):
            part = body[start : start + 10]
            client.say(b"%x\r\n%s\r\n" % (len(part), part))
        client.say(b"0\r\n\r\n")
        assert client.statuses(1) == [200]
    assert "chunked" in message_ids(penstock)


def test_pipelined_requests_are_answered_in_order(penstock: RunningPenstock) -> None:
    with Client(penstock) as client:
        requests = [post(b"pipelined-%d" % number) for number in range(50)]
        get = b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
        client.say(b"".join([*requests[:25], get, *requests[25:]]))
        assert client.statuses(51) == [200] * 25 + [404] + [200] * 25
    ours = [name for name in message_ids(penstock) if name.startswith("pipelined")]
    assert ours == [f"pipelined-{number}" for number in range(50)]


def test_many_pipelined_offers_to_upgrade(penstock: RunningPenstock) -> None:
    offer = [b"Connection: Upgrade", b"Upgrade: h2c"]
    with Client(penstock) as client:
        client.say(b"".join(post(b"offer-%d" % n, b"/v1/t", *offer) for n in range(300)))
        assert client.statuses(300) == [200] * 300
    assert len([name for name in message_ids(penstock) if name.startswith("offer")]) == 300


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST\r\n\r\n",
        b"POST /v1/t HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST /v1/t HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /v1/t HTTP/1.1\r\nBad Header\r\n\r\n",
        b"POST /v1/t HTTP/1.1\r\nA: \x01\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET //[ HTTP/1.1\r\n\r\n",
        b"POST /v1/t HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_rubbish_is_never_a_5xx(impatient: RunningPenstock, rubbish: bytes) -> None:
    with Client(impatient) as client:
        client.say(rubbish)
        assert set(client.statuses(1)) <= {204, 400, 404, 405, 408}
    with Client(impatient) as client:
        client.say(post(b"after-rubbish"))
        assert client.statuses(1) == [200]


def test_a_huge_head_is_refused(penstock: RunningPenstock) -> None:
    with Client(penstock) as client:
        client.say(b"POST /v1/t HTTP/1.1\r\nX-Huge: ")
        try:
            for _ in range(100):
                client.say(b"x" * 10_000)
        except (ConnectionResetError, BrokenPipeError):
            return
        assert client.statuses(1) == [431]


def test_a_body_beyond_the_limit(penstock: RunningPenstock) -> None:
    size = 3_000_000
    with Client(penstock) as client:
        client.say(b"POST /v1/b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
        client.say(b"x" * size)
        assert client.statuses(1) == [400]
    assert [r.code for r in rejected(penstock) if len(r.original) == 512 * 1024] == ["too_large"]


def test_an_endless_body_is_cut(penstock: RunningPenstock) -> None:
    sent = 0
    with Client(penstock) as client:
        client.say(b"POST /v1/b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while sent < 100_000_000:
                client.say(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
                sent += 65_536
        except (ConnectionResetError, BrokenPipeError):
            pass
    assert sent < 20_000_000


BEGINNINGS = [
    b"",
    b"P",
    b"\r\n",
    b"POST /v1/t HTTP/1.1\r\nHost: x\r\nX-Slow",
    b"POST /v1/t HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n",
    b"POST /v1/t HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{",
    b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nConnection: close\r\n\r\n{",
]


def test_clients_that_fall_silent_are_closed(impatient: RunningPenstock) -> None:
    with contextlib.ExitStack() as opened:
        clients = [opened.enter_context(Client(impatient)) for _ in BEGINNINGS]
        for client, beginning in zip(clients, BEGINNINGS, strict=True):
            client.say(beginning)
        for client, beginning in zip(clients, BEGINNINGS, strict=True):
            assert client.closes_within(12), (beginning, "the standard would be 15 seconds")


@pytest.mark.parametrize("with_body", [False, True])
def test_a_client_that_dribbles_is_closed(impatient: RunningPenstock, with_body: bool) -> None:
    with Client(impatient) as client:
        client.say(b"POST /v1/t HTTP/1.1\r\nContent-Length: 1000\r\nX-Slow: ")
        if with_body:
            client.say(b"\r\n\r\n")
        client.socket.settimeout(0.1)
        began = time.monotonic()
        while time.monotonic() < began + 14:
            try:
                client.say(b"x")
                if client.socket.recv(65_536) == b"":
                    break
            except TimeoutError:
                continue
            except (ConnectionResetError, BrokenPipeError):
                break
        assert time.monotonic() < began + 12, "the standard would be 15 seconds"


def test_a_kept_connection_may_rest(impatient: RunningPenstock) -> None:
    with Client(impatient) as client:
        client.say(post(b"rest-1"))
        assert client.statuses(1) == [200]
        time.sleep(3)
        client.say(post(b"rest-2"))
        assert client.statuses(1) == [200]


def answer(penstock: RunningPenstock, key: str) -> tuple[int, str]:
    """(status, code of the first refused event or of the error) for a write key."""
    body = json.dumps({"userId": "u", "event": "X", "writeKey": key}).encode()
    with Client(penstock) as client:
        client.say(
            b"POST /v1/t HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        head, _, content = client.hear(lambda _: False).partition(b"\r\n\r\n")
    said = json.loads(content)
    refused = said.get("rejected") or [{"code": said.get("code", "")}]
    return int(head[9:12]), refused[0]["code"]


def becomes(penstock: RunningPenstock, key: str, expected: tuple[int, str]) -> float:
    """Seconds until a write key is answered as expected."""
    began = time.monotonic()
    while answer(penstock, key) != expected:
        assert time.monotonic() < began + 60, answer(penstock, key)
        time.sleep(0.02)
    return time.monotonic() - began


def test_sources_change_while_it_runs(penstock: RunningPenstock) -> None:
    accepted, unknown, off = (200, ""), (401, "unknown_source"), (200, "source_disabled")
    assert answer(penstock, "new-key") == unknown
    steps = [
        ("shop: {type: server, write_keys: [new-key]}", "new-key", accepted),
        ("shop: {type: server, enabled: false, write_keys: [new-key]}", "new-key", off),
        ("shop: {type: server, write_keys: [second-key]}", "second-key", accepted),
    ]
    for source, key, expected in steps:
        penstock.apply(f"sources:\n  {source}\n")
        assert becomes(penstock, key, expected) < 10
    assert answer(penstock, "new-key") == unknown
    assert answer(penstock, "web-key") == accepted


def test_nothing_was_logged_as_an_error(
    penstock: RunningPenstock, impatient: RunningPenstock
) -> None:
    for running in (penstock, impatient):
        log = Path(running.log).read_text()
        assert "Traceback" not in log
        assert "ERROR" not in log
