"""Who asks, and whether they may."""

from __future__ import annotations

import asyncio
import base64
import functools
import ipaddress
import secrets
from typing import Any

import msgspec
from litestar.connection import ASGIConnection, Request
from litestar.handlers import BaseRouteHandler

from penstock.api.errors import ApiError
from penstock.api.services import Services
from penstock.ingest.proxies import Proxies
from penstock.settings import Settings
from penstock.workspace.accounts import Identity
from penstock.workspace.audit import Actor
from penstock.workspace.roles import SCOPES

__all__ = [
    "COOKIE",
    "WRITE_HEADER",
    "Call",
    "Caller",
    "authorized",
    "authorized_by_name",
    "caller_of",
    "client_address",
    "is_secure",
    "still_may",
]

COOKIE = "penstock_session"
WRITE_HEADER = "x-penstock-request"
"""A page of another site can't send it without asking us first, and we never agree."""
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOPBACK = "127.0.0.1,::1"
Connection = ASGIConnection[Any, Any, Any, Any]
Call = Request[Any, Any, Any]


class Caller(msgspec.Struct, frozen=True):
    """Who asks, and from where."""

    identity: Identity
    address: str

    @property
    def actor(self) -> Actor:
        """As the audit log names them."""
        return Actor(self.identity.kind, self.identity.name, self.address)

    @property
    def owner(self) -> str:
        """Whose queries and tails they are: the user's in any session, or the token's."""
        identity = self.identity
        return f"{identity.kind}:{identity.name if identity.kind == 'user' else identity.id}"

    def may(self, scope: str) -> bool:
        """Whether they have a scope."""
        return scope in self.identity.scopes

    def check_grants(self, scopes: frozenset[str]) -> None:
        """Raise ApiError when these are more than they have themselves."""
        beyond = sorted(scopes - self.identity.scopes)
        if beyond:
            raise ApiError(
                "forbidden", f"you lack {', '.join(beyond)} yourself, so you can't grant it"
            )


async def authorized(connection: Connection, handler: BaseRouteHandler) -> None:
    """Guard: find out who asks; raise ApiError unless they have the scope of the handler."""
    secret, by_cookie = _secret(connection)
    if not secret:
        raise ApiError("unauthenticated", "send a token: Authorization: Bearer pst_…")
    identity = await asyncio.to_thread(_identify, connection.app.state.services, secret)
    if identity is None:
        raise ApiError("unauthenticated", "this token or session is unknown or has ended")
    writes = str(connection.scope.get("method")) not in _READING
    if by_cookie and writes and WRITE_HEADER not in connection.headers:
        raise ApiError("csrf", "send the header X-Penstock-Request: 1 with a write")
    scope = handler.opt.get("scope")
    if scope is not None and scope not in identity.scopes:
        raise ApiError("forbidden", f"this needs the scope {scope}")
    connection.scope["user"] = Caller(identity, client_address(connection))


async def authorized_by_name(connection: Connection, handler: BaseRouteHandler) -> None:
    """Guard of the Profile API: a token comes as the user name of Basic, or as elsewhere."""
    scheme, _, given = connection.headers.get("authorization", "").partition(" ")
    secret = given.strip() if scheme.lower() == "bearer" else ""
    if scheme.lower() == "basic":
        try:
            decoded = base64.b64decode(given.strip(), validate=True).decode()
        except ValueError:
            decoded = ""
        secret = decoded.partition(":")[0]
    if not secret:
        raise ApiError("unauthenticated", "send a token as user name, with an empty password")
    identity = await asyncio.to_thread(_identify, connection.app.state.services, secret)
    if identity is None:
        raise ApiError("unauthenticated", "this token is unknown or has ended")
    scope = handler.opt["scope"]
    if scope not in identity.scopes:
        raise ApiError("forbidden", f"this needs the scope {scope}")
    connection.scope["user"] = Caller(identity, client_address(connection))


def caller_of(connection: Connection) -> Caller:
    """Who asks, as the guard found them."""
    caller = connection.scope["user"]
    assert isinstance(caller, Caller)
    return caller


async def still_may(connection: Connection, scope: str) -> bool:
    """Whether who asked has the scope now, too: tokens are revoked and sessions end."""
    secret, _ = _secret(connection)
    identity = await asyncio.to_thread(_identify, connection.app.state.services, secret)
    return identity is not None and scope in identity.scopes


def _secret(connection: Connection) -> tuple[str, bool]:
    """The token or session, and whether the browser sent it by itself."""
    scheme, _, given = connection.headers.get("authorization", "").partition(" ")
    if scheme:
        return (given.strip(), False) if scheme.lower() == "bearer" else ("", False)
    return connection.cookies.get(COOKIE, ""), True


def _identify(services: Services, secret: str) -> Identity | None:
    local = services.local_token
    if local and secrets.compare_digest(local.encode(), secret.encode("utf-8", "replace")):
        return Identity("command", "local", "local", frozenset(SCOPES), "administrator")
    return services.workspace.accounts.identify(secret)


def client_address(connection: Connection) -> str:
    """Where a request came from, through proxies that are trusted."""
    peer = connection.client.host if connection.client else ""
    return _proxies(connection).sender(peer, connection.scope["headers"])  # type: ignore[arg-type]


def is_secure(connection: Connection) -> bool:
    """Whether the browser came by HTTPS."""
    peer = connection.client.host if connection.client else ""
    scheme, _ = _proxies(connection).origin(
        peer,
        connection.scope["scheme"],
        connection.scope["headers"],  # type: ignore[arg-type]
    )
    return scheme == "https"


def _proxies(connection: Connection) -> Proxies:
    settings = connection.app.state.services.settings
    return _trusted(f"{settings.trusted_proxies},{_LOOPBACK},{_collector(settings)}")


@functools.lru_cache(8)
def _trusted(listed: str) -> Proxies:
    return Proxies(listed)


def _collector(settings: Settings) -> str:
    """From where the collector hands requests on in one-port mode, if that is an address."""
    try:
        return str(ipaddress.ip_address(settings.console_host)) if settings.one_port else ""
    except ValueError:
        return ""
