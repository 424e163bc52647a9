"""What warehouses take, as rows of the state store."""

from __future__ import annotations

from collections.abc import Container

import msgspec
from sqlalchemy import Connection, insert, select, update

from penstock.errors import ConfigurationError
from penstock.warehouses.selective import SourceSync, WarehouseSetup, compile_sync
from penstock.workspace.audit import Actor, write
from penstock.workspace.planning import Change
from penstock.workspace.tables import warehouses as table

__all__ = ["check", "every", "put"]


def every(connection: Connection) -> list[WarehouseSetup]:
    """All of them, by slug."""
    rows = connection.execute(select(table.c.slug, table.c.sources).order_by(table.c.slug))
    return [
        WarehouseSetup(slug, msgspec.convert(sources, dict[str, SourceSync]))
        for slug, sources in rows
    ]


def check(wanted: WarehouseSetup, *, known: str, sources: Container[str]) -> None:
    """Raise ConfigurationError for what can't be meant; ``known`` is the warehouse there is."""
    if wanted.slug != known:
        raise ConfigurationError(f"there is no such warehouse; the id of the one there is: {known}")
    for source in wanted.sources:
        if source not in sources:
            raise ConfigurationError(f"sources.{source}: there is no such source")
    compile_sync(wanted.sources)


def put(connection: Connection, wanted: WarehouseSetup, by: Actor, dry_run: bool) -> Change:
    """Store it, unless it is a dry run or is so already. Nothing is committed."""
    before = next((each for each in every(connection) if each.slug == wanted.slug), None)
    if before == wanted:
        return Change("keep", "warehouses", wanted.slug)
    change = Change("create" if before is None else "update", "warehouses", wanted.slug)
    if dry_run:
        return change
    told = {"sources": msgspec.to_builtins(wanted.sources)}
    if before is None:
        connection.execute(insert(table).values(slug=wanted.slug, **told))
    else:
        connection.execute(update(table).where(table.c.slug == wanted.slug).values(**told))
    write(
        connection, by, change.action, f"warehouse:{wanted.slug}",
        before=None if before is None else {"sources": msgspec.to_builtins(before.sources)},
        after=told,
    )  # fmt: skip
    return change
