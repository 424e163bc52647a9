"""Where a request came from, when proxies stand before the collector."""

from __future__ import annotations

import functools
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from penstock.errors import ConfigurationError

__all__ = ["Headers", "Proxies", "joined"]

Headers = list[tuple[bytes, bytes]]
"""Names in lower case, as ASGI gives them."""

_REMEMBERED = 4096
_LONGEST = 64


class Proxies:
    """The proxies whose word is taken for where a request came from."""

    def __init__(self, trusted: str = "") -> None:
        """``trusted``: addresses or networks such as 10.0.0.0/8, separated by commas.

        Raises ConfigurationError when one of them is neither.
        """
        self._networks = [_network(part) for part in trusted.split(",") if part.strip()]

    def trusts(self, host: str) -> bool:
        """Whether this peer is one of them."""
        address = _address(host)
        return address is not None and any(address in network for network in self._networks)

    def client_ip(self, peer: str, forwarded: bytes | None) -> str | None:
        """The sender's IPv4 address, or None; IPv6 addresses are not collected."""
        return _ipv4(self._sender(peer, forwarded))

    def sender(self, peer: str, headers: Headers) -> str:
        """The sender's address, IPv4 or IPv6; where a proxy's word can't be read, the peer's."""
        address = _address(self._sender(peer, joined(headers, b"x-forwarded-for")))
        return str(address) if address is not None else peer

    def origin(self, peer: str, scheme: str, headers: Headers) -> tuple[str, str]:
        """(scheme, host) by which the sender called: our own, or as a trusted proxy says."""
        host = _first(joined(headers, b"host")) or "localhost"
        if self.trusts(peer):
            scheme = _first(joined(headers, b"x-forwarded-proto")) or scheme
            host = _first(joined(headers, b"x-forwarded-host")) or host
        return scheme, host

    def _sender(self, peer: str, forwarded: bytes | None) -> str:
        """The peer, or from X-Forwarded-For the last hop that is not a trusted proxy.

        Only the hops written by trusted proxies are believed.
        """
        if forwarded is None or not self.trusts(peer):
            return peer
        sender = peer
        for hop in reversed(forwarded.decode("latin-1").split(",")):
            hop = hop.strip()[:_LONGEST]
            if not hop:
                continue
            sender = hop
            if _address(hop) is None or not self.trusts(hop):
                break
        return sender


def joined(headers: Headers, name: bytes) -> bytes | None:
    """All values of a header, in order, as one list; None when it was not sent."""
    values = [value for each, value in headers if each == name]
    return b",".join(values) if values else None


def _first(listed: bytes | None) -> str:
    return (listed or b"").decode("latin-1").partition(",")[0].strip()


@functools.lru_cache(_REMEMBERED)
def _ipv4(hop: str) -> str | None:
    address = _address(hop)
    return str(address) if isinstance(address, IPv4Address) else None


@functools.lru_cache(_REMEMBERED)
def _address(hop: str) -> IPv4Address | IPv6Address | None:
    """An address as peers and proxies write it: perhaps with a port, brackets or quotes."""
    text = hop.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text.strip(), strict=False)
    except ValueError as error:
        raise ConfigurationError(
            f"trusted_proxies: {text.strip()!r} is neither an address nor a network"
        ) from error
