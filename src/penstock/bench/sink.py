"""A tool that takes events, as cheap as it can be: ``python -m penstock.bench.sink``.

It prints its port. ``/ok…`` is answered 200 at once, ``/hang`` never, ``/fail`` 500. ``/counts``
answers with the requests and messageIds that came to each path, and when the last one came.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

__all__ = ["Sink", "sink"]

_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
_FAIL = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\n{}"
_END = b"\r\n\r\n"
_ID = b'"messageId":'


class Sink:
    """One running sink, seen from outside."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def counts(self) -> dict[str, list[float]]:
        """[requests, messageIds, time of the last] by path; the time as ``time.time``."""
        with urllib.request.urlopen(f"{self.url}/counts", timeout=60) as answer:
            counts: dict[str, list[float]] = json.load(answer)
        return counts


@contextmanager
def sink() -> Iterator[Sink]:
    """A sink in a process of its own."""
    child = subprocess.Popen(
        [sys.executable, "-m", "penstock.bench.sink"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        yield Sink(int(child.stdout.readline()))
    finally:
        child.terminate()
        child.wait()
        if child.stdout is not None:
            child.stdout.close()


class _Connection(asyncio.Protocol):
    def __init__(self, counts: dict[str, list[float]]) -> None:
        self._counts = counts
        self._got = bytearray()
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        self._got += data
        while self._take():
            pass

    def _take(self) -> bool:
        """Answer one request, if it is there whole."""
        end = self._got.find(_END)
        if end < 0:
            return False
        head = bytes(self._got[:end])
        start = head.lower().find(b"content-length:")
        length = int(head[start + 15 :].split(b"\r\n", 1)[0]) if start >= 0 else 0
        total = end + len(_END) + length
        if len(self._got) < total:
            return False
        body = bytes(self._got[end + len(_END) : total])
        del self._got[:total]
        path = head.split(b" ", 2)[1].decode("latin-1")
        if path == "/counts":
            told = json.dumps(self._counts).encode()
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(told))
            self._transport.write(told)
            return True
        count = self._counts.setdefault(path, [0, 0, 0.0])
        count[0] += 1
        count[1] += body.count(_ID)
        count[2] = time.time()
        if path != "/hang":
            self._transport.write(_FAIL if path == "/fail" else _OK)
        return True


async def _serve() -> None:
    counts: dict[str, list[float]] = {}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(counts), "127.0.0.1", 0, backlog=1000)
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await ended.wait()


def _main() -> None:
    import uvloop

    uvloop.run(_serve())


if __name__ == "__main__":
    _main()
