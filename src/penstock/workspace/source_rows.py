"""Sources as rows of the state store. Nothing here commits."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, insert, select, update

from penstock.errors import NotFound
from penstock.events.model import Source
from penstock.workspace.audit import Actor, masked, write
from penstock.workspace.tables import sources as table

__all__ = ["every", "one", "put", "told"]


def put(connection: Connection, source: Source, before: Source | None, by: Actor) -> None:
    """Create or replace a source; one that is the same stays."""
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
        write(connection, by, "create", f"source:{source.slug}", after=told(source))
        return
    connection.execute(update(table).where(table.c.slug == source.slug).values(**values))
    write(
        connection,
        by,
        "update",
        f"source:{source.slug}",
        before=told(before),
        after=told(source),
    )


def told(source: Source) -> dict[str, Any]:
    """A source as the audit log keeps it."""
    return {
        "name": source.name,
        "type": source.type,
        "space": source.space,
        "enabled": source.enabled,
        "write_keys": [masked(key) for key in source.write_keys],
        "rate_limit": source.rate_limit,
    }


def every(connection: Connection) -> list[Source]:
    """All sources, by slug."""
    rows = connection.execute(select(table).order_by(table.c.slug)).mappings()
    return [_source(dict(row)) for row in rows]


def one(connection: Connection, slug: str) -> Source:
    """One source. Raises NotFound."""
    row = connection.execute(select(table).where(table.c.slug == slug)).mappings().first()
    if row is None:
        raise NotFound(f"no source {slug}")
    return _source(dict(row))


def _source(row: dict[str, Any]) -> Source:
    return Source(**{**row, "write_keys": tuple(row["write_keys"])})
