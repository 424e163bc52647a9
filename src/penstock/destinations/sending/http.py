"""HTTP to the tools: to addresses of the internet only, bounded in time and size.

The address is judged when the socket is made, so the one that was judged is the one that is
connected to, whatever a name resolved to before.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from penstock.destinations.contract import Answer, Refused
from penstock.destinations.sending.addresses import is_public, private_address, unresolved
from penstock.destinations.sending.masking import Masker
from penstock.destinations.sending.wire import Wire

if TYPE_CHECKING:
    from aiohappyeyeballs import AddrInfoType

__all__ = ["HttpSender"]

_KEPT = 1024 * 1024
"""Bytes of an answer that are read; what follows is not, and the connection is closed."""
_HOPS = 5
_RESOLVERS = 32
"""Names that may be looked up at once. A name server that hangs holds one for each host."""
_FOLLOWED = frozenset({307, 308})
_KEPT_HEADERS = frozenset({"content-type", "accept", "accept-encoding", "user-agent"})
"""Headers that go along to another host."""


class HttpSender:
    """Sends requests. One for all destinations; it keeps no cookies and asks no proxy.

    Make and use it within one running event loop.
    """

    def __init__(
        self, *, allow_private: bool = False, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        """``allow_private`` lets addresses of the own network through."""
        self._allow_private = allow_private
        self._ssl = ssl_context
        self._session: aiohttp.ClientSession | None = None
        self._resolver = _Resolver()

    async def send(
        self, wire: Wire, timeout: float, mask: Callable[[], Masker] | None = None
    ) -> Answer:
        """Send, follow 307 and 308, and give the final answer, whatever its status.

        ``timeout`` is for all of it, in seconds. Raises Refused: status 0 and the name of the
        network's error, 408 when time is up, 400 for an address that is no good or not allowed.
        A redirect that would take a secret of ``mask`` to another host is refused.
        """
        clock = asyncio.get_running_loop().time
        end = clock() + timeout
        try:
            for hop in range(_HOPS + 1):
                answer = await self._once(wire, max(0.001, end - clock()) if hop else timeout)
                place = answer.headers.get("location")
                if answer.status not in _FOLLOWED or not place:
                    return answer
                wire = _redirected(wire, place, answer, mask)
        except TimeoutError as error:
            raise Refused(408, f"no answer within {timeout:g} s", "ETIMEDOUT") from error
        raise Refused(answer.status, f"more than {_HOPS} redirects", "TOO_MANY_REDIRECTS", answer)

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
        await self._resolver.close()

    async def _once(self, wire: Wire, timeout: float) -> Answer:
        url = _checked(wire.url)
        session = self._session or self._open()
        try:
            async with session.request(
                wire.method,
                url,
                data=wire.body,
                headers=wire.headers,
                allow_redirects=False,
                timeout=_within(timeout),
            ) as response:
                body = await _read(response)
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Answer(response.status, headers, body)
        except aiohttp.ClientSSLError as error:
            raise _unreachable(url, error, error) from error
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, _PrivateAddress):
                raise private_address(url.host or "") from error
            raise _unreachable(url, error, error.os_error) from error
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, ValueError) as error:
            raise Refused(400, f"the request can't be sent: {error}", "INVALID_REQUEST") from error
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
            raise _unreachable(url, error, error) from error

    def _open(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=0,
            ssl=self._ssl or True,
            resolver=self._resolver,
            ttl_dns_cache=30,
            keepalive_timeout=30,
            socket_factory=None if self._allow_private else _public_socket,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
            trust_env=False,
        )
        return self._session


class _PrivateAddress(OSError):
    def __init__(self) -> None:
        super().__init__("a private address")


def _public_socket(info: AddrInfoType) -> socket.socket:
    family, kind, protocol, _, address = info
    if not is_public(str(address[0])):
        raise _PrivateAddress
    return socket.socket(family, kind, protocol)


class _Resolver(AbstractResolver):
    """Looks names up in threads of its own, so that a slow name server holds up nothing else."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_RESOLVERS, thread_name_prefix="resolve")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(
                self._threads,
                lambda: socket.getaddrinfo(
                    host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
                ),
            )
        except OSError as error:
            raise unresolved(host, error) from error
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=int(address[1]),
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


@lru_cache(maxsize=1024)
def _checked(text: str) -> URL:
    """The URL as it was written, where it is already encoded."""
    try:
        plain = text.isascii() and text.isprintable() and not set(text) & set(' "<>\\^`{|}')
        url = URL(text, encoded=plain)
        good = url.scheme in ("http", "https") and url.host and url.port and " " not in url.host
    except ValueError as error:
        raise Refused(400, f"{text!r} is no address: {error}", "INVALID_ADDRESS") from error
    if not good:
        raise Refused(
            400,
            f"{text!r} is no address: it must begin with http:// or https://",
            "INVALID_ADDRESS",
        )
    return url


def _redirected(wire: Wire, place: str, answer: Answer, mask: Callable[[], Masker] | None) -> Wire:
    """The request for the place an answer names.

    Another host gets neither headers that authorise nor anything that holds a secret.
    """
    before, url = _checked(wire.url), _checked(urljoin(wire.url, place))
    if url.origin() == before.origin():
        return Wire(wire.method, str(url), wire.headers, wire.body)
    kept = {name: value for name, value in wire.headers.items() if name.lower() in _KEPT_HEADERS}
    body = (wire.body or b"").decode(errors="replace")
    if url.user or url.password or (mask and mask().finds(f"{url}\n{body}")):
        reason = f"a redirect to {url.host} was not followed: the request holds a secret"
        raise Refused(answer.status, reason, "REDIRECT_REFUSED", answer)
    if before.scheme == "https" and url.scheme == "http":
        reason = f"a redirect to {url.host} was not followed: it leaves https"
        raise Refused(answer.status, reason, "REDIRECT_REFUSED", answer)
    return Wire(wire.method, str(url), kept, wire.body)


@lru_cache(maxsize=64)
def _within(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=seconds)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The body, up to the limit; when there is more, the connection is given up."""
    if (response.content_length or _KEPT) < _KEPT and "Content-Encoding" not in response.headers:
        return await response.read()
    parts, size = [], 0
    async for part in response.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > _KEPT:
            response.close()
            break
    body = b"".join(parts)[:_KEPT]
    if response.headers.get("Content-Encoding", "").lower() in ("gzip", "deflate"):
        try:
            return zlib.decompressobj(47).decompress(body, _KEPT)
        except zlib.error:
            return body
    return body


def _unreachable(url: URL, error: Exception, cause: OSError | Exception) -> Refused:
    code = "ECONNRESET"
    if isinstance(error, aiohttp.ClientSSLError):
        code = "ETLS"
    elif isinstance(cause, OSError) and cause.errno:
        code = errno.errorcode.get(cause.errno, "ECONNRESET")
    text = str(cause) or type(cause).__name__
    return Refused(0, f"{url.host}: {text}", code)
