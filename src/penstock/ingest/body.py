"""Reading a request's body: capped in size and time while it is read, then decompressed."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

__all__ = ["BodyReader", "BodyRefused", "ClientGone", "Receive"]

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_PATIENCE = 16
"""A body this many times too large is read to its end, so that the sender hears why it was
refused; beyond, the connection is cut."""
_MOST_MEMBERS = 100
"""A gzip body may consist of many parts, each of which costs a copy of the rest."""
_ENCODINGS = (b"gzip", b"x-gzip", b"deflate")


class BodyRefused(Exception):
    """The body can't be used; ``status``, ``code`` and the text are for its sender."""

    def __init__(
        self, status: int, code: str, message: str, *, read: bytes = b"", cut: bool = False
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.read = read
        """What was read of it, up to the limit."""
        self.cut = cut
        """The rest is not worth reading: close the connection."""


class ClientGone(Exception):
    """The client went away before its body was complete."""


class BodyReader:
    """Reads bodies of at most ``limit`` bytes, as sent and decompressed, within ``timeout``."""

    def __init__(self, limit: int, timeout: float) -> None:
        self._limit = limit
        self._timeout = timeout

    async def read(self, receive: Receive, encoding: bytes | None) -> bytes:
        """The body, decompressed. Raises BodyRefused or ClientGone.

        The timeout counts from the first part on; the server sees to it that there is one.
        """
        message = await receive()
        body: bytes = message.get("body", b"")
        if message.get("more_body") or message["type"] != "http.request":
            try:
                async with asyncio.timeout(self._timeout):
                    body = await self._rest(receive, message)
            except TimeoutError as error:
                raise BodyRefused(
                    408, "timeout", f"the body took longer than {self._timeout:g} s", cut=True
                ) from error
        if len(body) > self._limit:
            raise self._too_large(body)
        if encoding is None or (encoding := encoding.strip().lower()) in (b"", b"identity"):
            return body
        return self._decompress(body, encoding)

    async def _rest(self, receive: Receive, message: MutableMapping[str, Any]) -> bytes:
        parts: list[bytes] = []
        size = 0
        while True:
            if message["type"] != "http.request":
                raise ClientGone
            part = message.get("body", b"")
            size += len(part)
            if size - len(part) <= self._limit:
                parts.append(part)
            if not message.get("more_body"):
                return b"".join(parts)
            if size > self._limit * _PATIENCE:
                raise self._too_large(b"".join(parts), cut=True)
            message = await receive()

    def _too_large(self, body: bytes, *, cut: bool = False) -> BodyRefused:
        reason = f"a request may have {self._limit} bytes"
        return BodyRefused(400, "too_large", reason, read=body[: self._limit], cut=cut)

    def _decompress(self, body: bytes, encoding: bytes) -> bytes:
        if encoding not in _ENCODINGS:
            name = encoding.decode("latin-1")
            raise BodyRefused(
                400,
                "bad_request",
                f"Content-Encoding {name!r}: use gzip, deflate or none",
                read=body,
            )
        try:
            plain, complete = _inflate(body, self._limit + 1)
        except zlib.error as error:
            raise BodyRefused(
                400, "bad_request", f"the body is not {encoding.decode()}", read=body
            ) from error
        if len(plain) > self._limit:
            raise self._too_large(body)
        if not complete:
            raise BodyRefused(
                400, "bad_request", f"the {encoding.decode()} body is cut short", read=body
            )
        return plain


def _inflate(body: bytes, limit: int) -> tuple[bytes, bool]:
    """What the body unpacks to, at most ``limit`` bytes, and whether it is complete.

    A gzip body may consist of several members. Raises zlib.error for one of very many.
    """
    plain = b""
    for _ in range(_MOST_MEMBERS):
        machine = zlib.decompressobj(47)
        plain += machine.decompress(body, limit - len(plain))
        body = machine.unused_data
        if not machine.eof or not body or len(plain) >= limit:
            return plain, machine.eof
    raise zlib.error(f"more than {_MOST_MEMBERS} members")
