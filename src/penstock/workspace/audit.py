"""The audit log: who changed what, when, and how it was before; never a secret."""

from __future__ import annotations

import getpass
import time
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, insert, select

from penstock.workspace.tables import audit

__all__ = ["Actor", "AuditEntry", "AuditLog", "command_line_actor", "masked", "write"]


class Actor(msgspec.Struct, frozen=True):
    """Who changes something."""

    kind: str
    """``user``, ``token``, or ``command`` (at a terminal of this machine)."""
    name: str
    address: str = ""
    """Where the request came from; empty for a command."""


class AuditEntry(msgspec.Struct, frozen=True):
    """One change."""

    id: int
    """Ascending."""
    at_us: int
    actor: Actor
    action: str
    """Such as ``create``, ``update``, ``delete``, ``login``, ``revoke``."""
    subject: str
    """What was changed, as kind and name: ``source:web``."""
    before: dict[str, Any] | None
    after: dict[str, Any] | None


def command_line_actor() -> Actor:
    """The person at this terminal."""
    try:
        return Actor("command", getpass.getuser())
    except (KeyError, OSError):  # a user id without a name, as in some containers
        return Actor("command", "unknown")


def masked(secret: str) -> str:
    """Enough of a secret to tell it from others, and too little to use it."""
    return f"{secret[: min(4, len(secret) // 3)]}…"


def write(
    connection: Connection,
    actor: Actor,
    action: str,
    subject: str,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Add an entry, in the transaction of the change itself."""
    connection.execute(
        insert(audit).values(
            at_us=time.time_ns() // 1000,
            actor=actor.name,
            actor_kind=actor.kind,
            address=actor.address,
            action=action,
            subject=subject,
            before=before,
            after=after,
        )
    )


class AuditLog:
    """Reads the log."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def entries(
        self, *, before: int | None = None, limit: int = 100, subject: str | None = None
    ) -> Sequence[AuditEntry]:
        """Entries, newest first; ``before`` is the id of the last entry of the page before."""
        query = select(audit).order_by(audit.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(audit.c.id < before)
        if subject is not None:
            query = query.where(audit.c.subject == subject)
        with self._engine.connect() as connection:
            return [_entry(dict(row)) for row in connection.execute(query).mappings()]


def _entry(row: dict[str, Any]) -> AuditEntry:
    return AuditEntry(
        id=row["id"],
        at_us=row["at_us"],
        actor=Actor(row["actor_kind"], row["actor"], row["address"]),
        action=row["action"],
        subject=row["subject"],
        before=row["before"],
        after=row["after"],
    )
