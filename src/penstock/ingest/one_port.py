"""One-port mode: the management API under the collector's port, handed on to its own process."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import httpcore
import msgspec

from penstock import logs
from penstock.ingest.body import ClientGone, Receive
from penstock.ingest.proxies import Proxies

__all__ = ["Management"]

log = logs.get("penstock.ingest")
Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_PREFIX = "/api"
_PROFILES = "/v1/spaces/"
_MOST_REQUESTS = 100
_MOST_OF_ONE = 20
"""Requests of one sender at once, so that nobody takes all there are."""
_LARGEST_BODY = 16 * 1024 * 1024
_CONNECT_S = 5.0
_STREAM = b"text/event-stream"
_PER_HOP = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization",
        b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"expect",
    }
)  # fmt: skip
_OWN = frozenset({b"date", b"server"})
"""The collector's server sets these itself."""
_CLAIMS = frozenset({b"forwarded", b"x-real-ip"})
"""With ``X-Forwarded-…``: what a client could say about itself."""
_encode = msgspec.json.Encoder().encode


class _Refused(Exception):
    """The request is not handed on, or has no answer: status, code and message for its sender."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Management:
    """Hands requests for the management API on, and streams bodies and answers both ways.

    The API hears in ``X-Forwarded-For`` the one address that sent the request, whatever the
    client said; in ``-Proto`` and ``-Host`` how the client called us.
    """

    def __init__(self, host: str, port: int, proxies: Proxies, *, body_timeout: float) -> None:
        self._host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        self._port = port
        self._proxies = proxies
        self._body_timeout = body_timeout
        self._pool = httpcore.AsyncConnectionPool(
            max_connections=_MOST_REQUESTS, max_keepalive_connections=0
        )
        self._streams: set[_Exchange] = set()
        self._open: Counter[str] = Counter()
        """Requests under way, by sender."""

    @staticmethod
    def serves(path: str) -> bool:
        """Whether a path belongs to the management API, or to the Profile API beside it."""
        return path == _PREFIX or path.startswith((f"{_PREFIX}/", _PROFILES))

    def stop(self) -> None:
        """End the streams of events there are, which would never end by themselves."""
        for exchange in self._streams:
            exchange.end()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        exchange = _Exchange(scope, receive, send, self._streams, self._body_timeout)
        sender = self._proxies.sender((scope.get("client") or ("", 0))[0], scope["headers"])
        try:
            with self._counted(sender):
                await exchange.run(self._pool, self._request(scope, exchange))
        except ClientGone:
            return
        except _Refused as refused:
            await exchange.refuse(refused)

    @contextmanager
    def _counted(self, sender: str) -> Iterator[None]:
        """Count a request of a sender. Raises _Refused when there are too many."""
        if self._open[sender] >= _MOST_OF_ONE:
            raise _Refused(503, "unavailable", "too many requests at once; try again")
        self._open[sender] += 1
        try:
            yield
        finally:
            self._open[sender] -= 1
            if not self._open[sender]:
                del self._open[sender]

    def _request(self, scope: Scope, exchange: _Exchange) -> httpcore.Request:
        target: bytes = scope["raw_path"]
        if scope["query_string"]:
            target += b"?" + scope["query_string"]
        limits = {"connect": _CONNECT_S, "pool": _CONNECT_S, "write": self._body_timeout}
        return httpcore.Request(
            scope["method"],
            httpcore.URL(scheme="http", host=self._host, port=self._port, target=target),
            headers=self._headers(scope),
            content=exchange.body() if exchange.has_body else None,
            extensions={"timeout": {**limits, "read": None}},
        )

    def _headers(self, scope: Scope) -> Headers:
        peer = (scope.get("client") or ("", 0))[0]
        headers: Headers = scope["headers"]
        scheme, host = self._proxies.origin(peer, scope.get("scheme", "http"), headers)
        handed_on = [
            (name, value)
            for name, value in headers
            if name not in _PER_HOP and name not in _CLAIMS and not name.startswith(b"x-forwarded-")
        ]
        if any(name == b"transfer-encoding" for name, _ in headers):
            handed_on.append((b"transfer-encoding", b"chunked"))
        return [
            *handed_on,
            (b"x-forwarded-for", self._proxies.sender(peer, headers).encode()),
            (b"x-forwarded-proto", scheme.encode("latin-1")),
            (b"x-forwarded-host", host.encode("latin-1")),
        ]


class _Exchange:
    """A request on its way to the API, and the answer on its way back."""

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        streams: set[_Exchange],
        body_timeout: float,
    ) -> None:
        names = {name for name, _ in scope["headers"]}
        self.has_body = bool(names & {b"content-length", b"transfer-encoding"})
        self._receive = receive
        self._send = send
        self._streams = streams
        self._body_timeout = body_timeout
        self._body_read = asyncio.Event()
        if not self.has_body:
            self._body_read.set()
        self._started = False
        self._ended = asyncio.Event()

    async def run(self, pool: httpcore.AsyncConnectionPool, request: httpcore.Request) -> None:
        """Hand on and answer, until it is done, the client is gone, or ``end`` is called."""
        work = asyncio.ensure_future(self._hand_on(pool, request))
        gone = asyncio.ensure_future(self._until_gone())
        end = asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait({work, gone, end}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (work, gone, end):
                task.cancel()
            await asyncio.wait({work, gone, end})
            self._streams.discard(self)
        if not work.cancelled():
            work.result()
        elif self._ended.is_set():
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    def end(self) -> None:
        """End a stream of events in order, as if the API had."""
        self._ended.set()

    async def body(self) -> AsyncIterator[bytes]:
        """The body as it comes in."""
        size = 0
        deadline = asyncio.get_running_loop().time() + self._body_timeout
        more = True
        while more:
            try:
                async with asyncio.timeout_at(deadline):
                    message = await self._receive()
            except TimeoutError as error:
                late = f"the body took longer than {self._body_timeout:g} s"
                raise _Refused(408, "timeout", late) from error
            if message["type"] != "http.request":
                raise ClientGone
            part: bytes = message.get("body", b"")
            more = message.get("more_body", False)
            size += len(part)
            if size > _LARGEST_BODY:
                raise _Refused(413, "too_large", f"a request may have {_LARGEST_BODY} bytes")
            if part:
                yield part
        self._body_read.set()

    async def refuse(self, refused: _Refused) -> None:
        """Answer in the words of the API; once its own answer has begun, it can only be cut."""
        if self._started:
            log.warning("an answer of the management API was cut short", reason=refused)
            return
        body = _encode({"error": {"code": refused.code, "message": str(refused), "detail": None}})
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        start = {"type": "http.response.start", "status": refused.status, "headers": headers}
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})

    async def _hand_on(self, pool: httpcore.AsyncConnectionPool, request: httpcore.Request) -> None:
        try:
            response = await pool.handle_async_request(request)
            try:
                await self._answer(response)
            finally:
                await response.aclose()
        except (httpcore.ConnectError, httpcore.TimeoutException) as error:
            raise _Refused(
                503, "unavailable", "the management API does not answer just now; try again"
            ) from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise _Refused(502, "unavailable", f"the management API ended: {error}") from error

    async def _answer(self, response: httpcore.Response) -> None:
        headers = [(name.lower(), value) for name, value in response.headers]
        headers = [pair for pair in headers if pair[0] not in _PER_HOP and pair[0] not in _OWN]
        if any(name == b"content-type" and value.startswith(_STREAM) for name, value in headers):
            self._streams.add(self)
        self._started = True
        start = {"type": "http.response.start", "status": response.status, "headers": headers}
        await self._send(start)
        async for part in response.aiter_stream():
            await self._send({"type": "http.response.body", "body": part, "more_body": True})
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _until_gone(self) -> None:
        await self._body_read.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass
