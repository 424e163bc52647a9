"""A collector in this process: the real application, committer and journal, no sockets."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.events.model import Record, RejectedRecord, Source
from penstock.ingest.accept import Acceptor
from penstock.ingest.app import Collector
from penstock.ingest.committer import GroupCommitter
from penstock.ingest.proxies import Proxies
from penstock.ingest.rate import RateLimits
from penstock.journal.contract import RECEIVED, REJECTED, NewBlock, Writer
from penstock.journal.sqlite import SqliteJournal

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]
NOON_US = 1_767_607_200_000_000
"""2026-01-05T10:00:00Z."""
SOURCES = {
    "web-key": Source("web", "Web", "browser", write_keys=("web-key",)),
    "app-key": Source("app", "App", "mobile", write_keys=("app-key",)),
    "server-key": Source("server", "Server", "server", write_keys=("server-key",)),
    "off-key": Source("off", "Off", "server", enabled=False, write_keys=("off-key",)),
}
_BAD_HEADER_VALUE = re.compile(b"[\x00-\x08\x0a-\x1f\x7f]")
_decode_records = msgspec.msgpack.Decoder(list[Record]).decode
_decode_rejected = msgspec.msgpack.Decoder(list[RejectedRecord]).decode


@dataclass
class Answer:
    """What the application answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Json:
        decoded: Json = json.loads(self.body)
        return decoded


class NoWriter:
    """A Writer that keeps blocks in memory, or fails when told to."""

    def __init__(self) -> None:
        self.blocks: list[NewBlock] = []
        self.failure: Exception | None = None
        self.before: Callable[[], object] = lambda: None

    def append(self, blocks: list[NewBlock]) -> list[int | None]:
        self.before()
        if self.failure is not None:
            raise self.failure
        self.blocks += blocks
        return [0 for _ in blocks]

    def last_sequence(self, producer: str) -> int | None:
        return None

    def last_created_us(self) -> int:
        return 0

    def close(self) -> None:
        pass


class Collecting:
    """The application with a clock that stands still until it is moved."""

    def __init__(
        self,
        folder: Path,
        *,
        trusted_proxies: str = "",
        public_url: str = "",
        unknown_key_status: int = 401,
        max_request_bytes: int = 512 * 1024,
        max_event_bytes: int = 33 * 1024,
        body_timeout: float = 15,
        queue_bytes: int = 1 << 26,
        workers: int = 1,
        writers: tuple[Writer, Writer] | None = None,
        committer: type[GroupCommitter] = GroupCommitter,
    ) -> None:
        self.now_us = NOON_US
        self.now_s = 0.0
        self.limits = RateLimits(workers, clock=lambda: self.now_s)
        self.has_room = True
        self.sources = dict(SOURCES)
        self._runner = asyncio.Runner()
        self._journal = SqliteJournal(folder / "journal")
        if writers is None:
            writers = self._journal.writer(RECEIVED, 0), self._journal.writer(REJECTED, 0)
        numbers = iter(range(1 << 40))
        acceptor = Acceptor(
            self.sources.get,
            max_event_bytes=max_event_bytes,
            max_batch_items=2500,
            unknown_key_status=unknown_key_status,
            clock=lambda: self.now_us,
            new_id=lambda: f"given-{next(numbers)}",
            limits=self.limits,
        )

        async def build() -> GroupCommitter:
            return committer(
                writers[0], writers[1], queue_bytes=queue_bytes, has_room=lambda: self.has_room
            )

        self.committer = self._runner.run(build())
        self.app = Collector(
            acceptor,
            self.committer,
            self.sources.get,
            max_request_bytes=max_request_bytes,
            body_timeout=body_timeout,
            proxies=Proxies(trusted_proxies),
            public_url=public_url,
            unready=lambda: "" if self.has_room else "the disk is nearly full",
        )

    def close(self) -> None:
        self.committer.close()
        self._runner.close()
        self._journal.close()

    def run(self, coroutine: Any) -> Any:
        return self._runner.run(coroutine)

    def send(self, method: str, path: str, body: bytes = b"", **how: Any) -> Answer:
        """One request; see ``drive`` for the rest."""
        answer: Answer = self._runner.run(self.drive(method, path, body, **how))
        return answer

    def post(self, path: str, event: object, key: str = "web-key", **how: Any) -> Answer:
        """POST JSON with Basic authorization."""
        headers = {"authorization": basic(f"{key}:"), **how.pop("headers", {})}
        return self.send("POST", path, json.dumps(event).encode(), headers=headers, **how)

    async def drive(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        headers: dict[str, str] | Iterable[tuple[bytes, bytes]] = (),
        query: bytes = b"",
        parts: Iterable[bytes] | None = None,
        client: str = "203.0.113.7",
    ) -> Answer:
        """Run one request through the application, and check that the answer is well-formed."""
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode("utf-8", "replace"),
            "query_string": query,
            "scheme": "http",
            "client": (client, 50000),
            "headers": list(_raw_headers(headers)),
        }
        sent: list[MutableMapping[str, Any]] = []
        pieces = iter([body] if parts is None else parts)
        following = next(pieces, b"")
        done = False

        async def receive() -> MutableMapping[str, Any]:
            nonlocal following, done
            if done:
                return {"type": "http.disconnect"}
            piece, last = following, object()
            coming = next(pieces, last)
            done = coming is last
            following = b"" if done else coming  # type: ignore[assignment]
            return {"type": "http.request", "body": piece, "more_body": not done}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        return _answer(sent)

    def received(self) -> list[Record]:
        """Everything in topic ``received``."""
        return [r for body in self._bodies(RECEIVED) for r in _decode_records(body)]

    def events(self) -> list[Json]:
        """The payloads of topic ``received``."""
        return [json.loads(record.payload) for record in self.received()]

    def rejected(self) -> list[RejectedRecord]:
        """Everything in topic ``rejected``."""
        return [r for body in self._bodies(REJECTED) for r in _decode_rejected(body)]

    def _bodies(self, topic: str) -> list[bytes]:
        reading = self._journal.read(topic, 0, 0, 1 << 60)
        return [block.body for block in reading.blocks]


def basic(user: str) -> str:
    """An Authorization header."""
    return "Basic " + base64.b64encode(user.encode()).decode()


def _raw_headers(
    headers: dict[str, str] | Iterable[tuple[bytes, bytes]],
) -> Iterable[tuple[bytes, bytes]]:
    if isinstance(headers, dict):
        return [
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()
        ]
    return headers


def _answer(sent: list[MutableMapping[str, Any]]) -> Answer:
    start, body = sent
    assert start["type"] == "http.response.start"
    assert body["type"] == "http.response.body"
    assert not body.get("more_body")
    for name, value in start["headers"]:
        assert name == name.lower()
        assert not _BAD_HEADER_VALUE.search(value)
    headers = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
    assert headers.get("content-length", "0") == str(len(body["body"]))
    if headers.get("content-type") == "application/json":
        decoded = json.loads(body["body"])
        if start["status"] >= 400:
            assert decoded["success"] is False
            assert decoded["code"]
            assert decoded["message"]
    return Answer(start["status"], headers, body["body"])
