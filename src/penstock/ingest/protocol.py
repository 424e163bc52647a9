"""uvicorn's HTTP protocol, with limits on heads, on patience and on the number of connections."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["Limits", "Protocol", "close_late", "limited"]

_IDLE_S = 75.0
"""Longest that a connection may rest between two requests, or that a client may leave an answer
unread."""
_CROWDED_IDLE_S = 5.0
"""The same between two requests, once ``_CROWDED`` of the connections are taken."""
_CROWDED = 0.8
_HEAD_BYTES = 65_536
_UNWANTED_BYTES = 8 * 1024 * 1024
"""Of a request that was answered before its end, this much more is read."""
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)
_CROWDED_OUT = b'{"success":false,"code":"unavailable","message":"too many connections"}'
_TOO_MANY = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\nretry-after: 5\r\nx-ratelimit-reset: 5\r\n"
    b"access-control-allow-origin: *\r\nconnection: close\r\n\r\n%s"
) % (len(_CROWDED_OUT), _CROWDED_OUT)


@dataclass(slots=True)
class Limits:
    """What one server allows its clients, and how often it had to refuse."""

    patience: float = 15.0
    """Longest, in seconds, from the first byte of a request, or from connecting, to the end of its
    headers; and again from there to the first byte of its body."""
    connections: int = 5000
    turned_away: int = 0
    """Connections beyond the limit."""


class Protocol(HttpToolsProtocol):
    """One connection. It keeps the time by which the client's next words are due; ``close_late``,
    called every second, closes those that are late. A timer for each request would cost more."""

    limits = Limits()

    _due: float | None = None
    """By when the headers of the next request must be complete, or its body begin; None while the
    body is read, which has a timer of its own, and while the request is answered."""
    _must_read_by: float | None = None
    """By when the client must have read some of an answer that fills all buffers."""
    _in_head = False
    _in_request = False
    _head_bytes = 0
    _unwanted_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client connected."""
        super().connection_made(transport)
        self._due = self.loop.time() + self.limits.patience
        if len(self.connections) > self.limits.connections:
            self.limits.turned_away += 1
            transport.write(_TOO_MANY)
            transport.close()

    def data_received(self, data: bytes) -> None:
        """Bytes came in."""
        self._unset_keepalive_if_required()
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
            return
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > _HEAD_BYTES and not self.transport.is_closing():
                self.transport.write(_TOO_LARGE)
                self.transport.close()
        elif self._in_request and self.cycle.response_complete:
            self._unwanted_bytes += len(data)
            if self._unwanted_bytes > _UNWANTED_BYTES:
                self.transport.close()

    def _feed(self, data: bytes) -> None:
        """Parse; a request that offers to upgrade is read as what it is without the offer.

        The parser stops at such a request's headers. Java's HTTP client makes the offer by default.
        """
        while True:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                head = [b"%s %s HTTP/1.1" % (self.parser.get_method(), self.url)]
                head += [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
                data = b"\r\n".join([*head, b"", data[upgrade.args[0] :]])
                self.parser = httptools.HttpRequestParser(self)

    def _offers_upgrade(self) -> bool:
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._due = self.loop.time() + self.limits.patience
        self._in_head = self._in_request = True
        self._head_bytes = self._unwanted_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The headers of a request are complete."""
        if self._offers_upgrade():
            return
        self._due = self.loop.time() + self.limits.patience
        self._in_head = False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of a body."""
        if not self.cycle.response_complete:
            self._due = None
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is complete."""
        if self._offers_upgrade():
            return
        super().on_message_complete()
        self._in_request = False
        self._due = self.loop.time() + _IDLE_S if self.cycle.response_complete else None

    def on_response_complete(self) -> None:
        """An answer was sent."""
        super().on_response_complete()
        if self.cycle.response_complete and not self._in_head:
            self._due = self.loop.time() + _IDLE_S

    def pause_writing(self) -> None:
        """The client does not read as fast as we write."""
        super().pause_writing()
        self._must_read_by = self.loop.time() + _IDLE_S

    def resume_writing(self) -> None:
        """The client has read."""
        super().resume_writing()
        self._must_read_by = None

    def close_if_late(self, now: float, idle: float) -> None:
        """Close when the client has had its time; between requests, ``idle`` seconds."""
        if self._must_read_by is not None:
            if now > self._must_read_by:
                self.transport.abort()
        elif self._due is not None and now > self._due - self._spared(idle):
            self.transport.close()

    def _spared(self, idle: float) -> float:
        """Seconds that a connection at rest has less than usual."""
        is_resting = self.cycle is not None and self.cycle.response_complete and not self._in_head
        return _IDLE_S - idle if is_resting else 0.0


def limited(limits: Limits) -> type[Protocol]:
    """The protocol with these limits, which all its connections share."""
    return type("LimitedProtocol", (Protocol,), {"limits": limits})


def close_late(connections: Iterable[object], limits: Limits, now: float) -> None:
    """Close the connections whose clients are too slow; when crowded, those that rest, too."""
    ours = [connection for connection in connections if isinstance(connection, Protocol)]
    is_crowded = len(ours) > limits.connections * _CROWDED
    for connection in ours:
        connection.close_if_late(now, _CROWDED_IDLE_S if is_crowded else _IDLE_S)
