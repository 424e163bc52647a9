"""The collector's HTTP side: a plain ASGI application.

A framework on this path would cost as much processor time as all the rest.
"""

from __future__ import annotations

import base64
import binascii
import functools
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import msgspec

from penstock import logs
from penstock.errors import JournalError, JournalFull
from penstock.events.model import Source
from penstock.ingest.accept import Acceptance, Acceptor, BadRequest, Request
from penstock.ingest.body import BodyReader, BodyRefused, ClientGone, Receive
from penstock.ingest.committer import GroupCommitter
from penstock.ingest.pixel import GIF, pixel_body
from penstock.ingest.proxies import Proxies, joined
from penstock.ingest.rate import RateLimited
from penstock.ingest.routes import PIXEL_CALLS, POST_CALLS, settings_key, split
from penstock.ingest.settings_document import settings_document

if TYPE_CHECKING:
    from penstock.ingest.one_port import Management

__all__ = ["Collector"]

log = logs.get("penstock.ingest")
Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
Answer = tuple[int, bytes, Headers]

_JSON = (b"content-type", b"application/json")
_NO_STORE = (b"cache-control", b"no-store")
_OK = b'{"success":true}'
_METRICS_PATH = "/v1/m"
_LONGEST_KEY = 1_000
_FORWARDED = b"x-forwarded-for"
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
        proxies: Proxies,
        public_url: str = "",
        metrics: Callable[[], str] = lambda: "",
        unready: Callable[[], str] = lambda: "",
        management: Management | None = None,
        browser_settings: Callable[[Source], Mapping[str, Any]] = lambda _: {},
    ) -> None:
        self._acceptor = acceptor
        self._committer = committer
        self._find_source = find_source
        self._bodies = BodyReader(max_request_bytes, body_timeout)
        self._proxies = proxies
        self._public_url = public_url
        self._metrics = metrics
        self._unready = unready
        self._management = management
        self._browser_settings = browser_settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection scope."""
        if scope["type"] != "http":
            await _lifespan(scope, receive, send)
            return
        path = split(scope["path"])
        call = POST_CALLS.get(path)
        if call is None and self._management is not None and self._management.serves(path):
            await self._management(scope, receive, send)
            return
        headers = dict(scope["headers"])
        try:
            if call is not None and scope["method"] == "POST":
                status, body, extra = await self._post(scope, receive, call, path, headers)
            else:
                status, body, extra = await self._other(scope, receive, path, headers)
        except ClientGone:
            return
        except RateLimited as limited:
            status, body, extra = _later(429, "rate_limited", str(limited), limited.seconds)
        if status != 204:
            extra.append((b"content-length", b"%d" % len(body)))
        origin = headers.get(b"origin")
        if origin is not None:
            extra += _cors(origin)
        await send({"type": "http.response.start", "status": status, "headers": extra})
        await send({"type": "http.response.body", "body": body})

    async def _post(
        self, scope: Scope, receive: Receive, call: str, path: str, headers: dict[bytes, bytes]
    ) -> Answer:
        key = _basic_key(headers.get(b"authorization"))
        query_key = _query_key(scope["query_string"])
        self._acceptor.admit(key)
        try:
            body = await self._bodies.read(receive, headers.get(b"content-encoding"))
        except BodyRefused as refused:
            request = Request(path, call, refused.read, key, None, query_key)
            bad = BadRequest(refused.status, refused.code, refused.message)
            return _closing(await self._refuse(request, bad), refused.cut)
        request = Request(path, call, body, key, self._client_ip(scope, headers), query_key)
        try:
            acceptance = self._acceptor.accept(request)
        except BadRequest as bad:
            return await self._refuse(request, bad)
        return await self._commit(acceptance, len(body))

    async def _commit(self, acceptance: Acceptance, size: int) -> Answer:
        try:
            await self._committer.commit(acceptance, size)
        except JournalFull as full:
            return _later(429, "rate_limited", f"{full}; try again later", 1)
        except JournalError as error:
            return _later(503, "unavailable", f"not written, send again: {error}", 5)
        if acceptance.refusals:
            return 200, _refused_items(acceptance.refusals), [_JSON]
        return 200, _OK, [_JSON]

    async def _refuse(self, request: Request, bad: BadRequest) -> Answer:
        """Keep what was refused, with its reason, then answer."""
        if bad.status != 408:
            record = self._acceptor.rejected(request, bad)
            acceptance = Acceptance(record.received_us, record.source, refused=1, rejected=[record])
            answer = await self._commit(acceptance, len(request.body))
            if answer[0] != 200:
                return answer
        if bad.status == 200:
            return 200, _refused_items([(0, bad.code, bad.message)]), [_JSON]
        return _error(bad.status, bad.code, bad.message)

    async def _other(
        self, scope: Scope, receive: Receive, path: str, headers: dict[bytes, bytes]
    ) -> Answer:
        method = scope["method"]
        if method == "OPTIONS":
            return 204, b"", _preflight(headers.get(b"access-control-request-headers"))
        if method in ("GET", "HEAD"):
            answer = await self._get(scope, path, headers)
            if answer is not None:
                return answer
        if path == _METRICS_PATH and method == "POST":
            return await self._drain(receive, headers)
        if path in POST_CALLS or path == _METRICS_PATH:
            return _not_allowed(path, b"POST, OPTIONS")
        if path in PIXEL_CALLS or settings_key(path) is not None:
            return _not_allowed(path, b"GET, HEAD, OPTIONS")
        return _error(404, "not_found", f"no such path: {path}; the tracking API is at /v1/track")

    async def _get(self, scope: Scope, path: str, headers: dict[bytes, bytes]) -> Answer | None:
        """The answer to GET or HEAD, or None when the path has none."""
        if path in PIXEL_CALLS:
            if scope["method"] == "GET":
                await self._pixel(scope, path, headers)
            return 200, GIF, [(b"content-type", b"image/gif"), _NO_STORE]
        key = settings_key(path)
        if key is not None:
            return self._settings(key, scope, headers)
        if path in ("/health", "/ready"):
            why = self._unready() if path == "/ready" else ""
            return _later(503, "unavailable", why, 5) if why else (200, _OK, [_JSON, _NO_STORE])
        if path == "/metrics":
            return 200, self._metrics().encode(), [(b"content-type", b"text/plain; version=0.0.4")]
        return None

    async def _pixel(self, scope: Scope, path: str, headers: dict[bytes, bytes]) -> None:
        """Take in the event of a pixel; whatever becomes of it, the answer is the image."""
        query: bytes = scope["query_string"]
        call, ip, key = PIXEL_CALLS[path], self._client_ip(scope, headers), _query_key(query)
        try:
            try:
                request = Request(path, call, pixel_body(query), None, ip, key)
            except ValueError as error:
                request = Request(path, call, query, None, ip, key)
                raise BadRequest(200, "bad_request", str(error)) from error
            answer = await self._commit(self._acceptor.accept(request), len(query))
        except BadRequest as bad:
            answer = await self._refuse(request, bad)
        except RateLimited:
            self._committer.tally.lost_pixels += 1
            return
        if answer[0] >= 429:
            self._committer.tally.lost_pixels += 1
            log.error("a pixel's event was lost", status=answer[0])

    async def _drain(self, receive: Receive, headers: dict[bytes, bytes]) -> Answer:
        """analytics.js reports on itself: taken, and not kept."""
        try:
            await self._bodies.read(receive, headers.get(b"content-encoding"))
        except BodyRefused as refused:
            return _closing(_error(refused.status, refused.code, refused.message), refused.cut)
        return 200, _OK, [_JSON]

    def _settings(self, key: str, scope: Scope, headers: dict[bytes, bytes]) -> Answer:
        source = self._find_source(key)
        if source is None:
            return _error(404, "unknown_source", f"no source has the write key {key!r}")
        scheme, host = self._address(scope)
        extra = [_JSON, (b"cache-control", b"public, max-age=30")]
        if b"origin" not in headers:
            extra.append((b"access-control-allow-origin", b"*"))
        document = settings_document(key, scheme, host, self._browser_settings(source))
        return 200, _encode(document), extra

    def _address(self, scope: Scope) -> tuple[str, str]:
        """(scheme, host) under which the browser reached us."""
        if self._public_url:
            scheme, _, host = self._public_url.partition("://")
            return scheme, host.rstrip("/")
        peer = (scope.get("client") or ("", 0))[0]
        return self._proxies.origin(peer, scope.get("scheme", "http"), scope["headers"])

    def _client_ip(self, scope: Scope, headers: dict[bytes, bytes]) -> str | None:
        client = scope.get("client")
        if not client:
            return None
        forwarded = joined(scope["headers"], _FORWARDED) if _FORWARDED in headers else None
        return self._proxies.client_ip(client[0], forwarded)


def _basic_key(authorization: bytes | None) -> str | None:
    """The user name of Basic authorization, with or without the colon."""
    if authorization is None or len(authorization) > _LONGEST_KEY:
        return None
    return _decoded_key(authorization)


@functools.lru_cache(1024)
def _decoded_key(authorization: bytes) -> str | None:
    if authorization[:6].lower() != b"basic ":
        return None
    try:
        decoded = base64.b64decode(authorization[6:].strip() + b"==")
    except (binascii.Error, ValueError):
        return None
    return decoded.partition(b":")[0].decode("utf-8", "replace") or None


def _query_key(query: bytes) -> str | None:
    if b"writeKey=" not in query:
        return None
    return parse_qs(query.decode("utf-8", "replace")).get("writeKey", [None])[0]


def _cors(origin: bytes) -> Headers:
    return [
        (b"access-control-allow-origin", origin if _is_printable(origin) else b"null"),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", b"Retry-After, X-RateLimit-Reset"),
        (b"vary", b"Origin"),
    ]


def _preflight(asked: bytes | None) -> Headers:
    if asked is None or not _is_printable(asked):
        asked = b"authorization, content-type, x-retry-count"
    return [
        (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
        (b"access-control-allow-headers", asked),
        (b"access-control-max-age", b"86400"),
    ]


def _is_printable(value: bytes) -> bool:
    return value.isascii() and value.decode().isprintable()


def _error(status: int, code: str, message: str) -> Answer:
    body = _encode({"success": False, "code": code, "message": message})
    return status, body, [_JSON]


def _later(status: int, code: str, message: str, seconds: int) -> Answer:
    """An answer after which the sender should come back."""
    wait = str(seconds).encode()
    status, body, headers = _error(status, code, message)
    return status, body, [*headers, (b"retry-after", wait), (b"x-ratelimit-reset", wait)]


def _not_allowed(path: str, allowed: bytes) -> Answer:
    method = allowed.partition(b",")[0].decode()
    status, body, headers = _error(405, "method_not_allowed", f"use {method} for {path}")
    return status, body, [*headers, (b"allow", allowed)]


def _closing(answer: Answer, close: bool) -> Answer:
    status, body, headers = answer
    return status, body, [*headers, (b"connection", b"close")] if close else headers


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
