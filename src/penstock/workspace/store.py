"""The state store's tables of resources."""

from __future__ import annotations

import secrets
import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    URL,
    Boolean,
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    insert,
    select,
    update,
)

from penstock.errors import ConfigurationError
from penstock.events.model import Source

__all__ = ["Workspace", "new_write_key"]

FORMAT_VERSION = 1
_PATIENCE_S = 30.0
_metadata = MetaData()
_about = Table(
    "about",
    _metadata,
    Column("format_version", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
)
_sources = Table(
    "sources",
    _metadata,
    Column("slug", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("type", String, nullable=False),
    Column("space", String, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("write_keys", JSON, nullable=False),
)


def new_write_key() -> str:
    """A write key nobody can guess."""
    return secrets.token_urlsafe(18)


class Workspace:
    """Resources in the embedded state store. Safe to open in many processes at once."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._engine: Engine = create_engine(URL.create("sqlite", database=str(file)))
        event.listen(self._engine, "connect", _configure)
        by_hand = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        with by_hand.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # nobody looks before all is there
            try:
                stored = _prepare(connection)
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise
            connection.exec_driver_sql("COMMIT")
        if stored > FORMAT_VERSION:
            self.close()
            raise ConfigurationError(
                f"{file} was written by a newer Penstock (format {stored}); upgrade Penstock"
            )

    def revision(self) -> int:
        """A number that grows with every change; cheap to ask for each second."""
        with self._engine.connect() as connection:
            return int(connection.execute(select(_about.c.revision)).scalar_one())

    def sources(self) -> list[Source]:
        """All sources, by slug."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(_sources).order_by(_sources.c.slug)).mappings()
            return [_source(dict(row)) for row in rows]

    def put_sources(self, sources: list[Source]) -> None:
        """Create or replace sources, in one transaction.

        Raises ConfigurationError when a write key would belong to two sources.
        """
        with self._engine.begin() as connection:
            for source in sources:
                self._put(connection, source)
            _check_keys(connection)
            connection.execute(update(_about).values(revision=_about.c.revision + 1))

    @staticmethod
    def _put(connection: Connection, source: Source) -> None:
        values: dict[str, Any] = {
            "name": source.name,
            "type": source.type,
            "space": source.space,
            "enabled": source.enabled,
            "write_keys": list(source.write_keys),
        }
        changed = connection.execute(
            update(_sources).where(_sources.c.slug == source.slug).values(**values)
        )
        if changed.rowcount == 0:
            connection.execute(insert(_sources).values(slug=source.slug, **values))

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def _prepare(connection: Connection) -> int:
    """Make the tables that are not there yet; the format of those that are."""
    _metadata.create_all(connection)
    stored = connection.execute(select(_about.c.format_version)).scalars().first()
    if stored is None:
        stored = FORMAT_VERSION
        connection.execute(insert(_about).values(format_version=stored, revision=0))
    return int(stored)


def _check_keys(connection: Connection) -> None:
    owner: dict[str, str] = {}
    for slug, keys in connection.execute(select(_sources.c.slug, _sources.c.write_keys)):
        for key in keys:
            if key in owner:
                raise ConfigurationError(
                    f"write key {key!r} belongs to both {owner[key]} and {slug}; "
                    "give each source its own"
                )
            owner[key] = slug


def _source(row: dict[str, Any]) -> Source:
    return Source(
        slug=row["slug"],
        name=row["name"],
        type=row["type"],
        space=row["space"],
        enabled=row["enabled"],
        write_keys=tuple(row["write_keys"]),
    )


def _configure(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA busy_timeout=30000")
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:  # SQLite does not wait with this one
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return
