"""Which addresses a destination may be sent to: those of the internet, no others.

Whoever may set up a destination could otherwise make Penstock ask the machines around it, such as
a cloud's metadata service, and read the answers.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from concurrent.futures import Executor

from penstock.destinations.contract import Refused

__all__ = ["PRIVATE_ADDRESS", "check_host", "is_public", "private_address", "unresolved"]

PRIVATE_ADDRESS = "PRIVATE_ADDRESS"
_REFUSED_V4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "100.64.0.0/10",  # shared by carriers; holds the metadata service of Alibaba
            "168.63.129.16/32",  # Azure's agent
            "192.0.0.0/24",  # holds the metadata service of Oracle
            "192.88.99.0/24",  # relays to 6to4
        ),
    )
)
_REFUSED_V6 = tuple(
    map(
        ipaddress.IPv6Network,
        (
            "::/96",  # IPv4 in the old way
            "64:ff9b:1::/48",  # NAT64 of a local network
            "100::/64",  # discarded
            "2001::/23",  # protocols, Teredo among them
            "3fff::/20",  # documentation
            "5f00::/16",  # segment routing
            "fec0::/10",  # site-local
        ),
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether an IP address, in text, is one of the internet.

    IPv6 addresses that carry an IPv4 address are judged by that one.
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = _inner(ip)
        if inner is not None:
            return is_public(str(inner))
        if any(ip in network for network in _REFUSED_V6):
            return False
    elif any(ip in network for network in _REFUSED_V4):
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def private_address(host: str) -> Refused:
    """The error that a host with such an address is refused with."""
    return Refused(
        400,
        f"{host} is a private address, which destinations may not reach; set "
        "PENSTOCK_ALLOW_PRIVATE_DESTINATIONS=1 where they should",
        PRIVATE_ADDRESS,
    )


def unresolved(host: str, error: OSError) -> Refused:
    """The error for a host name that has no address, now or at all."""
    code = "EAI_AGAIN" if getattr(error, "errno", None) == socket.EAI_AGAIN else "ENOTFOUND"
    return Refused(0, f"{host}: no address was found ({error.strerror or error})", code)


async def check_host(host: str, port: int, executor: Executor) -> None:
    """Resolve a host, and refuse it when any of its addresses is private.

    For libraries that resolve for themselves: they may get another answer than this one. Raises
    Refused.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.run_in_executor(
            executor, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
    except OSError as error:
        raise unresolved(host, error) from error
    except UnicodeError as error:
        raise Refused(400, f"{host!r} is no host name", "INVALID_ADDRESS") from error
    if not all(is_public(str(info[4][0])) for info in found):
        raise private_address(host)


def _inner(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.sixtofour
