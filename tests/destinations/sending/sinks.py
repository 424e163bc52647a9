"""Servers that answer as a test says, over raw sockets, and keep what they were asked."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from penstock.destinations.contract import Action, Call, Destination, Setting, Steps
from penstock.destinations.sending import Senders

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass
class Asked:
    """A request that arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


Answering = Callable[[Asked], "bytes | Awaitable[bytes | None] | None"]


@dataclass
class Sink:
    """A server; None as an answer resets the connection."""

    answer: Answering = lambda asked: reply()
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    host: str = "127.0.0.1"
    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while asked := await _read(reader):
                self.asked.append(asked)
                answer = self.answer(asked)
                given = answer if isinstance(answer, bytes | None) else await answer
                if given is None:
                    writer.transport.abort()
                    return
                writer.write(given)
                await writer.drain()
                if b"connection: close" in given[:300]:
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Asked | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.strip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Asked(method, path, headers, body)


def reply(status: int = 200, body: bytes | str = b"{}", **headers: str) -> bytes:
    body = body.encode() if isinstance(body, str) else body
    named = "".join(f"{key.replace('_', '-')}: {value}\r\n" for key, value in headers.items())
    return f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n{named}\r\n".encode() + body


def script(*answers: bytes | None) -> Answering:
    """Each answer once; the last for ever."""
    left: Iterator[bytes | None] = iter(answers)
    last: list[bytes | None] = [reply()]

    def answer(asked: Asked) -> bytes | None:
        last[0] = next(left, last[0])
        return last[0]

    return answer


@asynccontextmanager
async def sink(
    answer: Answering | None = None, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> Any:
    found = Sink(answer or (lambda asked: reply()), host=host, scheme="https" if tls else "http")
    server = await asyncio.start_server(found.serve, host, 0, ssl=tls)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()


@asynccontextmanager
async def senders(**options: Any) -> Any:
    made = Senders(**{"allow_private": True, **options})
    try:
        yield made
    finally:
        await made.close()


@contextmanager
def names(monkeypatch: Any, **addresses: str) -> Iterator[list[str]]:
    """Resolve host names (``_`` for ``.``) to these addresses; gives the names that were asked."""
    import socket

    real = socket.getaddrinfo
    known = {name.replace("_", "."): address for name, address in addresses.items()}
    asked: list[str] = []

    def resolve(host: Any, *rest: Any, **more: Any) -> Any:
        asked.append(str(host))
        return real(known.get(host, host), *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    yield asked


def tool(build: Callable[[Call], Steps], **more: Any) -> Destination:
    """A destination with one action."""
    settings = more.pop("settings", (Setting("url", "Url"), Setting("key", "Key", secret=True)))
    return Destination(
        slug="bell", name="Bell", help="Rings.", actions=(Action("ring", "Ring", build),),
        settings=settings, **more,
    )  # fmt: skip


def call(payloads: Sequence[dict[str, Any]], **settings: Any) -> Call:
    ids = [f"m{at}" for at in range(len(payloads))]
    return Call(payloads, settings, NOW, lambda: "id", message_ids=ids)
