"""uvicorn's HTTP protocol, with limits on heads and on patience."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["Protocol", "close_late", "patient"]

_IDLE_S = 75.0
"""Longest that a connection may rest between two requests."""
_HEAD_BYTES = 65_536
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class Protocol(HttpToolsProtocol):
    """One connection. It keeps the time by which the client's next words are due; ``close_late``,
    called every second, closes those that are late. A timer for each request would cost more."""

    patience = 15.0
    """Longest, in seconds, from the first byte of a request, or from connecting, to the end of its
    headers; and again from there to the first byte of its body."""

    _due: float | None = None
    """By when the headers of the next request must be complete, or its body begin; None while the
    body is read, which has a timer of its own, and while the request is answered."""
    _in_head = False
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client connected."""
        super().connection_made(transport)
        self._due = self.loop.time() + self.patience

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
        self._due = self.loop.time() + self.patience
        self._in_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The headers of a request are complete."""
        if self._offers_upgrade():
            return
        self._due = self.loop.time() + self.patience
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
        self._due = self.loop.time() + _IDLE_S if self.cycle.response_complete else None

    def on_response_complete(self) -> None:
        """An answer was sent."""
        super().on_response_complete()
        if self.cycle.response_complete and not self._in_head:
            self._due = self.loop.time() + _IDLE_S

    def is_late(self, now: float) -> bool:
        """Whether the client has had its time."""
        return self._due is not None and now > self._due


def patient(timeout: float) -> type[Protocol]:
    """The protocol with another patience, in seconds."""

    class Patient(Protocol):
        patience = timeout

    return Patient


def close_late(connections: Iterable[object], now: float) -> None:
    """Close the connections whose clients are too slow."""
    for connection in list(connections):
        if isinstance(connection, Protocol) and connection.is_late(now):
            connection.transport.close()
