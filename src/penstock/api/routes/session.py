"""Logging in and out, and who one is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from litestar import Response
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody
from msgspec import Meta

from penstock.api.access import COOKIE, Call, caller_of, client_address, is_secure
from penstock.api.errors import ApiError
from penstock.api.logins import LoginLimiter
from penstock.api.routes.accounts import UserBody, user_body
from penstock.api.routing import public, route
from penstock.api.services import Given

__all__ = ["HANDLERS"]

_TAG = "session"


class Login(msgspec.Struct, forbid_unknown_fields=True):
    """Name and password."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    password: Annotated[str, Meta(min_length=1, max_length=1024)]


class LoggedIn(msgspec.Struct):
    """A session."""

    session: str
    """Send it as a bearer token; browsers have it in a cookie as well."""
    expires_at: datetime
    user: UserBody


class Me(msgspec.Struct):
    """Who asks."""

    kind: str
    """user, token or command."""
    name: str
    role: str | None
    scopes: list[str]


@public("POST", "/login", tag=_TAG, errors=[401, 429])
def log_in(
    request: Call,
    services: Given,
    logins: NamedDependency[LoginLimiter],
    data: JSONBody[Login],
) -> Response[LoggedIn]:
    """Begin a session of twelve hours."""
    if request.content_type[0] != "application/json":  # what a form of another site can send
        raise ApiError("invalid_request", "send the header Content-Type: application/json")
    address = client_address(request)
    wait = logins.begin(data.name, address)
    if wait:
        raise ApiError(
            "too_many_logins",
            f"too many wrong passwords; try again in {wait} s",
            headers={"Retry-After": str(wait)},
        )
    begun = services.workspace.accounts.log_in(data.name, data.password, address)
    if begun is None:
        raise ApiError("wrong_login", "no user has this name and password")
    logins.succeed(data.name, address)
    session, secret = begun
    expires = datetime.fromtimestamp(session.expires_us / 1_000_000, UTC)
    age = int((expires - datetime.now(UTC)).total_seconds())
    cookie = Cookie(COOKIE, value=secret, max_age=age, httponly=True, samesite="strict",
                    secure=is_secure(request))  # fmt: skip
    body = LoggedIn(secret, expires, user_body(session.user))
    return Response(body, status_code=200, cookies=[cookie])


_ENDED = ResponseSpec(None, generate_examples=False, description="The session has ended.")


@route("POST", "/logout", None, tag=_TAG, status=204, responses={204: _ENDED})
def log_out(request: Call, services: Given) -> Response[None]:
    """End the session; a token stays as it is."""
    caller = caller_of(request)
    if caller.identity.kind == "user":
        services.workspace.accounts.log_out(caller.identity.id, caller.actor)
    gone = Cookie(COOKIE, value="", max_age=0, httponly=True, samesite="strict")
    return Response(None, status_code=204, cookies=[gone])


@route("GET", "/me", None, tag=_TAG, sync_to_thread=False)
def who_am_i(request: Call) -> Me:
    """Say who asks, and what they may."""
    identity = caller_of(request).identity
    return Me(identity.kind, identity.name, identity.role, sorted(identity.scopes))


HANDLERS = [log_in, log_out, who_am_i]
