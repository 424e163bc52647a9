"""The state store's resources, and the way to its accounts and its audit log."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from penstock.errors import NotFound
from penstock.events.model import Source
from penstock.workspace.accounts import Accounts
from penstock.workspace.audit import Actor, AuditLog, command_line_actor, masked, write
from penstock.workspace.database import open_state, writing
from penstock.workspace.rules import check_keys
from penstock.workspace.tables import about
from penstock.workspace.tables import sources as table

__all__ = ["Workspace", "new_write_key"]


def new_write_key() -> str:
    """A write key nobody can guess."""
    return secrets.token_urlsafe(18)


class Workspace:
    """Resources in the embedded state store. Safe to open in many processes at once."""

    def __init__(self, file: Path) -> None:
        self._engine = open_state(file)
        self.accounts = Accounts(self._engine)
        self.audit = AuditLog(self._engine)

    def revision(self) -> int:
        """A number that grows with every change of a source; cheap to ask for each second."""
        with self._engine.connect() as connection:
            return int(connection.execute(select(about.c.revision)).scalar_one())

    def sources(self) -> list[Source]:
        """All sources, by slug."""
        with self._engine.connect() as connection:
            return _sources(connection)

    def source(self, slug: str) -> Source:
        """One source. Raises NotFound."""
        with self._engine.connect() as connection:
            return _found(connection, slug)

    def put_sources(self, sources: list[Source], by: Actor | None = None) -> None:
        """Create or replace sources, in one transaction.

        Raises ConfigurationError when a write key would belong to two sources.
        """
        self.change_sources(lambda _: sources, by)

    def change_sources(
        self, change: Callable[[list[Source]], list[Source]], by: Actor | None = None
    ) -> list[Source]:
        """Create or replace the sources that ``change`` makes of all that there are.

        Nobody changes any meanwhile. Returns what ``change`` did.
        """
        with writing(self._engine) as connection:
            before = {source.slug: source for source in _sources(connection)}
            changed = change(list(before.values()))
            check_keys(before.values(), changed)
            for source in changed:
                _put(connection, source, before.get(source.slug), by or command_line_actor())
            if changed:
                _grow(connection)
            return changed

    def change_source(
        self, slug: str, change: Callable[[Source], Source], by: Actor | None = None
    ) -> Source:
        """Replace a source by what ``change`` makes of it. Raises NotFound."""
        with writing(self._engine) as connection:
            before = _found(connection, slug)
            after = change(before)
            if after != before:
                check_keys(_sources(connection), [after])
                _put(connection, after, before, by or command_line_actor())
                _grow(connection)
            return after

    def delete_source(self, slug: str, by: Actor | None = None) -> None:
        """Forget a source; its events stay. Raises NotFound."""
        with writing(self._engine) as connection:
            before = _found(connection, slug)
            connection.execute(delete(table).where(table.c.slug == slug))
            _grow(connection)
            actor = by or command_line_actor()
            write(connection, actor, "delete", f"source:{slug}", before=_told(before))

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def _grow(connection: Connection) -> None:
    connection.execute(update(about).values(revision=about.c.revision + 1))


def _put(connection: Connection, source: Source, before: Source | None, by: Actor) -> None:
    values: dict[str, Any] = {
        "name": source.name,
        "type": source.type,
        "space": source.space,
        "enabled": source.enabled,
        "write_keys": list(source.write_keys),
        "rate_limit": source.rate_limit,
    }
    if source == before:
        return
    if before is None:
        connection.execute(insert(table).values(slug=source.slug, **values))
        write(connection, by, "create", f"source:{source.slug}", after=_told(source))
        return
    connection.execute(update(table).where(table.c.slug == source.slug).values(**values))
    write(
        connection,
        by,
        "update",
        f"source:{source.slug}",
        before=_told(before),
        after=_told(source),
    )


def _told(source: Source) -> dict[str, Any]:
    """A source as the audit log keeps it."""
    return {
        "name": source.name,
        "type": source.type,
        "space": source.space,
        "enabled": source.enabled,
        "write_keys": [masked(key) for key in source.write_keys],
        "rate_limit": source.rate_limit,
    }


def _sources(connection: Connection) -> list[Source]:
    rows = connection.execute(select(table).order_by(table.c.slug)).mappings()
    return [_source(dict(row)) for row in rows]


def _found(connection: Connection, slug: str) -> Source:
    row = connection.execute(select(table).where(table.c.slug == slug)).mappings().first()
    if row is None:
        raise NotFound(f"no source {slug}")
    return _source(dict(row))


def _source(row: dict[str, Any]) -> Source:
    return Source(**{**row, "write_keys": tuple(row["write_keys"])})
