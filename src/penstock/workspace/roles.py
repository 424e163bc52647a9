"""What a person or a token may do: scopes, and the roles that bundle them."""

from __future__ import annotations

from collections.abc import Iterable

from penstock.errors import ConfigurationError

__all__ = ["ROLES", "SCOPES", "checked_role", "checked_scopes", "role_of"]

SCOPES = {
    "status:read": "status, schema catalogue, volumes and the loss ledger",
    "sources:read": "sources, their write keys masked",
    "sources:write": "create, change and delete sources; see, add and revoke write keys",
    "destinations:read": "destinations without their secrets, what was sent to them, and what they "
    "refused (personal data)",
    "destinations:write": "create, change, delete, try and replay destinations, functions; retry "
    "and discard dead letters",
    "events:read": "events as they came: the live tail and rejected events (personal data)",
    "profiles:read": "audiences, traits, spaces; people, their traits and events (personal data)",
    "profiles:write": "create, change and delete audiences, traits and spaces",
    "sql:read": "query the warehouse, list and cancel one's own queries (personal data)",
    "sql:manage": "list and cancel everybody's queries",
    "tokens:read": "list tokens, never their secrets",
    "tokens:write": "create and revoke tokens, within one's own scopes",
    "users:read": "list users",
    "users:write": "create, change and delete users, within one's own scopes",
    "audit:read": "the audit log",
}
"""Scope by name, with what it allows."""

_VIEWER = frozenset(
    {"status:read", "sources:read", "destinations:read", "events:read", "profiles:read", "sql:read"}
)
ROLES: dict[str, frozenset[str]] = {
    "viewer": _VIEWER,
    "editor": _VIEWER | {"sources:write", "destinations:write", "profiles:write"},
    "administrator": frozenset(SCOPES),
}
"""Scopes by role."""


def checked_role(role: str) -> str:
    """The role itself. Raises ConfigurationError when there is none of that name."""
    if role not in ROLES:
        raise ConfigurationError(f"unknown role {role!r}; one of {', '.join(ROLES)}")
    return role


def checked_scopes(scopes: Iterable[str]) -> list[str]:
    """The scopes without repetition, sorted. Raises ConfigurationError for an unknown one."""
    wanted = sorted(set(scopes))
    for scope in wanted:
        if scope not in SCOPES:
            raise ConfigurationError(f"unknown scope {scope!r}; one of {', '.join(SCOPES)}")
    return wanted


def role_of(scopes: Iterable[str]) -> str | None:
    """The role that has exactly these scopes."""
    wanted = frozenset(scopes)
    return next((name for name, bundle in ROLES.items() if bundle == wanted), None)
