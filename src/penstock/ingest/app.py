"""The collector's HTTP side: a plain ASGI application.

A framework on this path would cost as much processor time as all the rest.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from penstock.errors import JournalError, JournalFull
from penstock.events.model import Source
from penstock.ingest.accept import Acceptance, Acceptor, BadRequest, Request
from penstock.ingest.committer import GroupCommitter
from penstock.ingest.pixel import GIF, pixel_body
from penstock.ingest.routes import PIXEL_CALLS, POST_CALLS, settings_key, split
from penstock.ingest.settings_document import settings_document

__all__ = ["Collector"]

log = logging.getLogger("penstock.ingest")
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_JSON = (b"content-type", b"application/json")
_OK = b'{"success":true}'
_METRICS_PATH = "/v1/m"
_encode = msgspec.json.Encoder().encode


class Collector:
    """Answers the tracking API; 200 only after the events are on disk."""

    def __init__(
        self,
        acceptor: Acceptor,
        committer: GroupCommitter,
        find_source: Callable[[str], Source | None],
        *,
        max_request_bytes: int,
        body_timeout: float,
        trusted_proxies: frozenset[str] = frozenset(),
        public_url: str = "",
        metrics: Callable[[], str] = lambda: "",
    ) -> None:
        self._acceptor = acceptor
        self._committer = committer
        self._find_source = find_source
        self._max_request = max_request_bytes
        self._body_timeout = body_timeout
        self._trusted = trusted_proxies
        self._public_url = public_url
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection scope."""
        if scope["type"] != "http":
            await _lifespan(scope, receive, send)
            return
        path = split(scope["path"])
        call = POST_CALLS.get(path)
        headers: Headers = scope["headers"]
        origin = _header(headers, b"origin")
        if call is not None and scope["method"] == "POST":
            status, body, extra = await self._post(scope, receive, call, path, headers)
        else:
            status, body, extra = await self._other(scope, receive, path, headers)
        if origin is not None:
            extra += _cors(origin)
        await send({"type": "http.response.start", "status": status, "headers": extra})
        await send({"type": "http.response.body", "body": body})

    async def _post(
        self, scope: Scope, receive: Receive, call: str, path: str, headers: Headers
    ) -> tuple[int, bytes, Headers]:
        body = b""
        request = Request(path, call, body, None, None)
        try:
            body = await self._body(receive, headers)
            key, ip = _basic_key(headers), self._client_ip(scope, headers)
            request = Request(path, call, body, key, ip)
            acceptance = self._acceptor.accept(request)
        except BadRequest as bad:
            request = request if request.body else Request(path, call, body, None, None)
            return await self._refuse(request, bad)
        return await self._commit(acceptance, len(body))

    async def _commit(self, acceptance: Acceptance, size: int) -> tuple[int, bytes, Headers]:
        try:
            await self._committer.commit(acceptance, size)
        except JournalFull as full:
            full_disk = "disk is" in str(full)
            code, status, wait = (
                ("unavailable", 503, b"30") if full_disk else ("rate_limited", 429, b"1")
            )
            retry = [(b"retry-after", wait), (b"x-ratelimit-reset", wait)]
            status_, body, extra = _error(status, code, f"{full}; try again later")
            return status_, body, extra + retry
        except JournalError as error:
            answer = _error(503, "unavailable", f"not written, send again: {error}")
            return answer[0], answer[1], [*answer[2], (b"retry-after", b"5")]
        if acceptance.refusals:
            return 200, _refused_items(acceptance.refusals), [_JSON]
        return 200, _OK, [_JSON]

    async def _refuse(self, request: Request, bad: BadRequest) -> tuple[int, bytes, Headers]:
        """Keep what was refused, with its reason, then answer."""
        if request.body:
            record = self._acceptor.rejected(request, bad)
            acceptance = Acceptance(record.received_us, rejected=[record])
            status, body, headers = await self._commit(acceptance, len(request.body))
            if status != 200:
                return status, body, headers
        if bad.status == 200:
            return 200, _refused_items([(0, bad.code, bad.message)]), [_JSON]
        return _error(bad.status, bad.code, bad.message)

    async def _other(
        self, scope: Scope, receive: Receive, path: str, headers: Headers
    ) -> tuple[int, bytes, Headers]:
        method = scope["method"]
        if method == "OPTIONS":
            return 204, b"", _preflight(headers)
        if path in PIXEL_CALLS and method in ("GET", "HEAD"):
            return await self._pixel(scope, path, headers)
        if path == _METRICS_PATH and method == "POST":
            return await self._drain(receive, headers)
        key = settings_key(path)
        if key is not None and method in ("GET", "HEAD"):
            return self._settings(key, scope, headers)
        if path in ("/health", "/ready"):
            return 200, _OK, [_JSON, (b"cache-control", b"no-store")]
        if path == "/metrics":
            return 200, self._metrics().encode(), [(b"content-type", b"text/plain; version=0.0.4")]
        if path in POST_CALLS:
            answer = _error(405, "method_not_allowed", f"use POST for {path}")
            return answer[0], answer[1], [*answer[2], (b"allow", b"POST, OPTIONS")]
        return _error(404, "not_found", f"no such path: {path}; the tracking API is at /v1/track")

    async def _pixel(self, scope: Scope, path: str, headers: Headers) -> tuple[int, bytes, Headers]:
        """Always the image, whatever becomes of the event."""
        query = scope["query_string"]
        ip = self._client_ip(scope, headers)
        request = Request(path, PIXEL_CALLS[path], query, None, ip)
        try:
            request = Request(path, PIXEL_CALLS[path], pixel_body(query), None, ip)
            await self._commit(self._acceptor.accept(request), len(query))
        except ValueError as error:
            await self._refuse(request, BadRequest(200, "bad_request", str(error)))
        except BadRequest as bad:
            await self._refuse(request, bad)
        return 200, GIF, [(b"content-type", b"image/gif"), (b"cache-control", b"no-store")]

    async def _drain(self, receive: Receive, headers: Headers) -> tuple[int, bytes, Headers]:
        """analytics.js reports on itself: taken, and not kept."""
        try:
            await self._body(receive, headers)
        except BadRequest as bad:
            return _error(bad.status, bad.code, bad.message)
        return 200, _OK, [_JSON]

    def _settings(self, key: str, scope: Scope, headers: Headers) -> tuple[int, bytes, Headers]:
        if self._find_source(key) is None:
            return _error(404, "unknown_source", f"no source has the write key {key!r}")
        scheme, host = self._address(scope, headers)
        document = settings_document(key, scheme, host)
        cors = [(b"access-control-allow-origin", b"*"), (b"cache-control", b"public, max-age=30")]
        if _header(headers, b"origin") is not None:
            cors = cors[1:]
        return 200, _encode(document), [_JSON, *cors]

    def _address(self, scope: Scope, headers: Headers) -> tuple[str, str]:
        """(scheme, host) under which the browser reached us."""
        if self._public_url:
            scheme, _, host = self._public_url.partition("://")
            return scheme, host.rstrip("/")
        scheme = scope.get("scheme", "http")
        host = (_header(headers, b"host") or b"localhost").decode("latin-1")
        client = scope.get("client")
        if client and client[0] in self._trusted:
            scheme = (_header(headers, b"x-forwarded-proto") or scheme.encode()).decode("latin-1")
            forwarded = _header(headers, b"x-forwarded-host")
            host = forwarded.decode("latin-1") if forwarded else host
        return scheme, host

    def _client_ip(self, scope: Scope, headers: Headers) -> str | None:
        client = scope.get("client")
        if not client:
            return None
        ip: str = client[0]
        if ip in self._trusted:
            forwarded = _header(headers, b"x-forwarded-for")
            if forwarded:
                for hop in reversed(forwarded.decode("latin-1").split(",")):
                    ip = hop.strip()
                    if ip not in self._trusted:
                        break
        return ip

    async def _body(self, receive: Receive, headers: Headers) -> bytes:
        """The body, decompressed; refused while it is read when it grows too large or slow."""
        message = await receive()
        body: bytes = message.get("body", b"")
        if message.get("more_body"):
            try:
                async with asyncio.timeout(self._body_timeout):
                    body = await self._rest(receive, body)
            except TimeoutError as error:
                raise BadRequest(
                    408, "timeout", f"the body took longer than {self._body_timeout:g} s"
                ) from error
        if len(body) > self._max_request:
            raise _too_large(self._max_request)
        encoding = _header(headers, b"content-encoding")
        if encoding is not None and encoding.strip().lower() not in (b"", b"identity"):
            return _decompress(body, encoding.strip().lower(), self._max_request)
        return body

    async def _rest(self, receive: Receive, first: bytes) -> bytes:
        parts, size = [first], len(first)
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise BadRequest(400, "bad_request", "the client went away")
            part = message.get("body", b"")
            parts.append(part)
            size += len(part)
            if size > self._max_request:
                raise _too_large(self._max_request)
            if not message.get("more_body"):
                return b"".join(parts)


def _too_large(limit: int) -> BadRequest:
    return BadRequest(400, "too_large", f"a request may have {limit} bytes")


def _decompress(body: bytes, encoding: bytes, limit: int) -> bytes:
    if encoding not in (b"gzip", b"x-gzip", b"deflate"):
        raise BadRequest(400, "bad_request", f"Content-Encoding {encoding!r}: use gzip or none")
    machine = zlib.decompressobj(47)
    try:
        plain = machine.decompress(body, limit + 1)
    except zlib.error as error:
        raise BadRequest(400, "bad_request", f"the body is not {encoding.decode()}") from error
    if len(plain) > limit:
        raise _too_large(limit)
    if not machine.eof:
        raise BadRequest(400, "bad_request", f"the {encoding.decode()} body is cut short")
    return plain


def _header(headers: Headers, name: bytes) -> bytes | None:
    for key, value in headers:
        if key == name:
            return value
    return None


def _basic_key(headers: Headers) -> str | None:
    """The user name of Basic authorization, with or without the colon."""
    value = _header(headers, b"authorization")
    if value is None or value[:6].lower() != b"basic ":
        return None
    try:
        decoded = base64.b64decode(value[6:].strip() + b"==")
    except (binascii.Error, ValueError):
        return None
    return decoded.partition(b":")[0].decode("utf-8", "replace") or None


def _cors(origin: bytes) -> Headers:
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", b"Retry-After, X-RateLimit-Reset"),
        (b"vary", b"Origin"),
    ]


def _preflight(headers: Headers) -> Headers:
    asked = _header(headers, b"access-control-request-headers")
    return [
        (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
        (b"access-control-allow-headers", asked or b"authorization, content-type, x-retry-count"),
        (b"access-control-max-age", b"86400"),
    ]


def _error(status: int, code: str, message: str) -> tuple[int, bytes, Headers]:
    body = _encode({"success": False, "code": code, "message": message})
    return status, body, [_JSON]


def _refused_items(refusals: list[tuple[int, str, str]]) -> bytes:
    items = [{"index": i, "code": code, "message": text} for i, code, text in refusals[:100]]
    return _encode({"success": True, "rejected": items})


async def _lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "lifespan":
        return
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await send({"type": "lifespan.shutdown.complete"})
            return
