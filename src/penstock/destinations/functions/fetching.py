"""Sends the requests of functions, which have no network of their own.

Only to hosts that the function's ``network`` names, and never to private addresses: a name is
resolved, the addresses are checked, and the connection goes to the one that was checked.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable
from functools import cache
from urllib.parse import urlsplit

from penstock.destinations.functions.child import Carry
from penstock.destinations.functions.frames import Fetch, Fetched
from penstock.destinations.sending.addresses import is_public

__all__ = ["carrier"]

_LARGEST = 1024 * 1024
_LOOPBACK = "is a private address, which functions may not reach"
Resolve = Callable[[str, int], list[str]]


def carrier(
    hosts: tuple[str, ...], *, allow_private: bool, resolve: Resolve | None = None
) -> Carry:
    """What sends requests to these hosts, and refuses all others."""
    allowed = frozenset(host.lower() for host in hosts)

    def carry(request: Fetch, seconds: float) -> Fetched:
        try:
            return _sent(request, seconds, allowed, allow_private, resolve or _addresses)
        except (OSError, http.client.HTTPException, ValueError) as error:
            return Fetched(0, error=str(error) or type(error).__name__)

    return carry


def _sent(
    request: Fetch, seconds: float, allowed: frozenset[str], allow_private: bool, resolve: Resolve
) -> Fetched:
    url = urlsplit(request.url)
    host = (url.hostname or "").lower()
    if url.scheme not in ("http", "https") or not host:
        raise ValueError(f"{request.url!r} is no address of the web")
    port = url.port or (443 if url.scheme == "https" else 80)
    if host not in allowed and f"{host}:{port}" not in allowed:
        raise PermissionError(f"{host} is not one of the hosts that the function's network names")
    addresses = resolve(host, port)
    if not allow_private and not all(map(is_public, addresses)):
        raise PermissionError(f"{host} {_LOOPBACK}")
    connection = _Checked(host, port, addresses[0], seconds, secure=url.scheme == "https")
    try:
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        connection.request(request.method, target, request.body or None, request.headers)
        answer = connection.getresponse()
        body = answer.read(_LARGEST + 1)
    finally:
        connection.close()
    if len(body) > _LARGEST:
        raise ValueError(f"{host} answered more than {_LARGEST} bytes")
    headers = {name.lower(): value for name, value in answer.getheaders()}
    return Fetched(answer.status, headers, body)


class _Checked(http.client.HTTPConnection):
    """A connection to an address that was looked at."""

    def __init__(self, host: str, port: int, address: str, seconds: float, *, secure: bool) -> None:
        super().__init__(host, port, timeout=seconds)
        self._address = address
        self._secure = secure

    def connect(self) -> None:
        plain = socket.create_connection((self._address, self.port), self.timeout)
        self.sock = _tls().wrap_socket(plain, server_hostname=self.host) if self._secure else plain


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _addresses(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(info[4][0]) for info in found]
