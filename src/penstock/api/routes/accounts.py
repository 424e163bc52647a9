"""Tokens, users and the audit log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
from litestar.params import JSONBody, Parameter
from msgspec import Meta

from penstock.api.access import Call, Caller, caller_of
from penstock.api.errors import ApiError
from penstock.api.routing import Page, route
from penstock.api.services import Given
from penstock.workspace.accounts import Token, User
from penstock.workspace.roles import ROLES, SCOPES, checked_scopes, role_of

__all__ = ["HANDLERS", "UserBody", "instant", "user_body"]

Role = Annotated[str, Meta(pattern=f"^({'|'.join(ROLES)})$")]
Scope = Annotated[str, Meta(pattern=f"^({'|'.join(SCOPES)})$")]
Password = Annotated[str, Meta(min_length=12, max_length=1024)]
UserName = Annotated[str, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}$")]
TokenName = Annotated[str, Meta(min_length=1, max_length=100)]
PathUser = Annotated[str, Parameter(description="Name of the user.")]
PathToken = Annotated[str, Parameter(description="Id of the token.")]


class TokenBody(msgspec.Struct):
    """A token, without its secret."""

    id: str
    name: str
    role: str | None
    """The role whose scopes it has, if it has just those."""
    scopes: list[str]
    created_at: datetime
    created_by: str
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None


class TokenList(msgspec.Struct):
    """All tokens, oldest first, the revoked ones too."""

    items: list[TokenBody]


class NewToken(msgspec.Struct, forbid_unknown_fields=True):
    """A token to create: give a role, or scopes, or both."""

    name: TokenName
    role: Role | None = None
    scopes: Annotated[list[Scope], Meta(max_length=100)] = []
    expires_in_days: Annotated[int, Meta(ge=1, le=3650)] | None = None


class CreatedToken(msgspec.Struct):
    """A token and its secret."""

    token: TokenBody
    secret: str
    """Shown this once: only its SHA-256 is kept."""


class UserBody(msgspec.Struct):
    """A user."""

    name: str
    role: str
    created_at: datetime
    last_login_at: datetime | None


class UserList(msgspec.Struct):
    """All users, by name."""

    items: list[UserBody]


class NewUser(msgspec.Struct, forbid_unknown_fields=True):
    """A user to create."""

    name: UserName
    role: Role
    password: Password


class UserPatch(msgspec.Struct, forbid_unknown_fields=True):
    """What to change of a user."""

    role: Role | None = None
    password: Password | None = None
    """Ends the user's sessions."""


class AuditBody(msgspec.Struct):
    """One change."""

    id: int
    at: datetime
    actor_kind: str
    """user, token, or command (at a terminal of the machine)."""
    actor: str
    address: str
    action: str
    subject: str
    """Kind and name, such as source:web."""
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class AuditPage(Page, kw_only=True):
    """Changes, newest first."""

    items: list[AuditBody]


def instant(us: int | None) -> datetime | None:
    """Microseconds since 1970 as a moment."""
    return None if us is None else datetime.fromtimestamp(us / 1_000_000, UTC)


def user_body(user: User) -> UserBody:
    """A user for the wire."""
    created = instant(user.created_us)
    assert created is not None
    return UserBody(user.name, user.role, created, instant(user.last_login_us))


def _token_body(token: Token) -> TokenBody:
    created = instant(token.created_us)
    assert created is not None
    return TokenBody(
        id=token.id,
        name=token.name,
        role=role_of(token.scopes),
        scopes=list(token.scopes),
        created_at=created,
        created_by=token.created_by,
        last_used_at=instant(token.last_used_us),
        expires_at=instant(token.expires_us),
        revoked_at=instant(token.revoked_us),
    )


@route("GET", "/tokens", "tokens:read", tag="tokens")
def list_tokens(services: Given) -> TokenList:
    """List tokens, never their secrets."""
    return TokenList([_token_body(token) for token in services.workspace.accounts.tokens()])


@route("POST", "/tokens", "tokens:write", tag="tokens", status=201)
def create_token(request: Call, services: Given, data: JSONBody[NewToken]) -> CreatedToken:
    """Create a token within one's own scopes. Its secret is in the answer, and nowhere else."""
    caller = caller_of(request)
    bundle = ROLES[data.role] if data.role else frozenset()
    scopes = checked_scopes([*bundle, *data.scopes])
    caller.check_grants(frozenset(scopes))
    age = None if data.expires_in_days is None else timedelta(days=data.expires_in_days)
    token, secret = services.workspace.accounts.create_token(
        data.name, scopes, caller.actor, age=age
    )
    return CreatedToken(_token_body(token), secret)


@route("DELETE", "/tokens/{token_id:str}", "tokens:write", tag="tokens", status=204, errors=[404])
def revoke_token(request: Call, services: Given, token_id: PathToken) -> None:
    """Revoke a token: it is refused from now on. It stays in the list."""
    caller, accounts = caller_of(request), services.workspace.accounts
    if frozenset(accounts.token(token_id).scopes) - caller.identity.scopes:
        raise ApiError("forbidden", "this token may do more than you may")
    accounts.revoke_token(token_id, caller.actor)


@route("GET", "/users", "users:read", tag="users")
def list_users(services: Given) -> UserList:
    """List users."""
    return UserList([user_body(user) for user in services.workspace.accounts.users()])


@route("POST", "/users", "users:write", tag="users", status=201, errors=[409])
def create_user(request: Call, services: Given, data: JSONBody[NewUser]) -> UserBody:
    """Create a user, within one's own scopes."""
    caller = caller_of(request)
    caller.check_grants(ROLES[data.role])
    user = services.workspace.accounts.add_user(data.name, data.role, data.password, caller.actor)
    return user_body(user)


@route("PATCH", "/users/{name:str}", "users:write", tag="users", errors=[404])
def change_user(
    request: Call, services: Given, name: PathUser, data: JSONBody[UserPatch]
) -> UserBody:
    """Give a user another role or password."""
    caller, accounts = caller_of(request), services.workspace.accounts
    _check_reach(caller, accounts.user(name))
    if data.role is not None:
        caller.check_grants(ROLES[data.role])
        accounts.set_role(name, data.role, caller.actor)
    if data.password is not None:
        accounts.set_password(name, data.password, caller.actor)
    return user_body(accounts.user(name))


@route("DELETE", "/users/{name:str}", "users:write", tag="users", status=204, errors=[404])
def delete_user(request: Call, services: Given, name: PathUser) -> None:
    """Delete a user and end the user's sessions. The last administrator stays."""
    caller, accounts = caller_of(request), services.workspace.accounts
    _check_reach(caller, accounts.user(name))
    accounts.remove_user(name, caller.actor)


def _check_reach(caller: Caller, user: User) -> None:
    """Nobody changes a user who may more than they may themselves."""
    if ROLES[user.role] - caller.identity.scopes:
        raise ApiError("forbidden", f"{user.name} may do more than you may")


@route("GET", "/audit", "audit:read", tag="audit")
def list_audit(
    services: Given,
    limit: Annotated[int, Parameter(ge=1, le=1000, description="Most entries of a page.")] = 100,
    before: Annotated[
        int | None, Parameter(ge=1, le=2**62, description="`next` of the page before.")
    ] = None,
    subject: Annotated[
        str | None, Parameter(max_length=200, description="Such as source:web.")
    ] = None,
) -> AuditPage:
    """List changes, newest first: who, when, what, and how it was before."""
    entries = services.workspace.audit.entries(before=before, limit=limit + 1, subject=subject)
    items = [
        AuditBody(
            id=entry.id,
            at=datetime.fromtimestamp(entry.at_us / 1_000_000, UTC),
            actor_kind=entry.actor.kind,
            actor=entry.actor.name,
            address=entry.actor.address,
            action=entry.action,
            subject=entry.subject,
            before=entry.before,
            after=entry.after,
        )
        for entry in entries[:limit]
    ]
    following = str(items[-1].id) if len(entries) > limit else None
    return AuditPage(items=items, next=following)


HANDLERS = [
    list_tokens, create_token, revoke_token, list_users, create_user, change_user, delete_user,
    list_audit,
]  # fmt: skip
