"""A client that costs little: raw sockets, bodies made of parts, one thread."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable

from penstock.errors import PenstockError

__all__ = ["Flood"]


class _Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.events = 0
        self.first = 0


class Flood:
    """Keeps a number of connections busy with requests, each after the answer to the last.

    ``body(first, count)`` makes a request's body; ``accepted(first, count, at)`` is told of each
    answer of 200, with the time by ``time.perf_counter``.
    """

    def __init__(
        self,
        port: int,
        path: str,
        write_key: str,
        body: Callable[[int, int], bytes],
        *,
        count: int,
        connections: int,
        accepted: Callable[[int, int, float], None] = lambda *_: None,
    ) -> None:
        import base64

        key = base64.b64encode(f"{write_key}:".encode())
        self._head = (
            b"POST %b HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
            b"Authorization: Basic %b\r\nContent-Length: " % (path.encode(), key)
        )
        self._body = body
        self._count = count
        self._accepted = accepted
        self._selector = selectors.DefaultSelector()
        self._connections = [_Connection(port) for _ in range(connections)]
        for connection in self._connections:
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)
        self.sent = 0
        self.accepted = 0
        self.turned_away = 0

    def run(self, seconds: float, allowed: Callable[[float], int] = lambda _: 1 << 62) -> float:
        """Send for so long; ``allowed(elapsed)`` caps the events sent so far. Returns seconds."""
        began = time.perf_counter()
        idle = list(self._connections)
        busy = 0
        while True:
            elapsed = time.perf_counter() - began
            if elapsed < seconds:
                limit = allowed(elapsed)
                while idle and self.sent + self._count <= limit:
                    self._send(idle.pop(0))
                    busy += 1
            elif not busy:
                return elapsed
            for key, _ in self._selector.select(timeout=0.002 if idle else 1):
                self._receive(key.data)
                idle.append(key.data)
                busy -= 1

    def _send(self, connection: _Connection) -> None:
        body = self._body(self.sent, self._count)
        connection.first = self.sent
        self.sent += self._count
        connection.socket.sendall(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))

    def _receive(self, connection: _Connection) -> None:
        answer = connection.socket.recv(65536)
        while not _is_whole(answer):
            more = connection.socket.recv(65536)
            if not more:
                raise PenstockError("the collector closed the connection; see its log")
            answer += more
        if answer.startswith(b"HTTP/1.1 200"):
            self.accepted += self._count
            self._accepted(connection.first, self._count, time.perf_counter())
        elif answer.startswith((b"HTTP/1.1 429", b"HTTP/1.1 503")):
            self.turned_away += self._count
        else:
            raise PenstockError(f"the collector answered {answer[:300]!r}")

    def close(self) -> None:
        """Close the connections."""
        for connection in self._connections:
            connection.socket.close()
        self._selector.close()


def _is_whole(answer: bytes) -> bool:
    head, found, body = answer.partition(b"\r\n\r\n")
    if not found:
        return False
    _, _, length = head.lower().partition(b"content-length: ")
    return len(body) >= int(length.partition(b"\r\n")[0] or 0)
