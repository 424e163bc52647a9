"""Opening the state store: its file, its tables, its migrations, its transactions."""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    create_engine,
    event,
    insert,
    inspect,
    select,
    update,
)

from penstock.errors import ConfigurationError
from penstock.workspace.tables import FORMAT_VERSION, about, metadata

__all__ = ["open_state", "writing"]

_PATIENCE_S = 30.0
_MODE = 0o600


def open_state(file: Path) -> Engine:
    """The state store, of the newest format. Safe to call in many processes at once.

    Raises ConfigurationError when a newer Penstock has written it, which leaves it as it is.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _keep_private(file)
    engine = create_engine(URL.create("sqlite", database=str(file)))
    event.listen(engine, "connect", _configure)
    try:
        with writing(engine) as connection:  # nobody looks before all is there
            _prepare(connection, file)
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that is alone in writing from its first read on."""
    by_hand = engine.execution_options(isolation_level="AUTOCOMMIT")
    with by_hand.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.exec_driver_sql("ROLLBACK")
            raise
        connection.exec_driver_sql("COMMIT")


def _prepare(connection: Connection, file: Path) -> None:
    """Make the tables of a new store; bring those of an older one forward."""
    if not inspect(connection).has_table(about.name):
        metadata.create_all(connection)
        connection.execute(insert(about).values(format_version=FORMAT_VERSION, revision=0))
        return
    stored = int(connection.execute(select(about.c.format_version)).scalar_one())
    if stored > FORMAT_VERSION:
        raise ConfigurationError(
            f"{file} was written by a newer Penstock (format {stored}); upgrade Penstock"
        )
    if stored < FORMAT_VERSION:
        from penstock.workspace.migrate import migrate  # Alembic takes memory that few need

        migrate(connection, stored)
        connection.execute(update(about).values(format_version=FORMAT_VERSION))


def _keep_private(file: Path) -> None:
    """The store holds hashes of passwords and the write keys: only its owner may read it.

    SQLite gives the files beside it the mode of the store.
    """
    os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE))
    for path in (file, Path(f"{file}-wal"), Path(f"{file}-shm")):
        try:
            if stat.S_IMODE(path.stat().st_mode) != _MODE:
                path.chmod(_MODE)
        except FileNotFoundError:
            continue


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
