"""``monitor.sqlite``: what the monitor counted, and how far it has read."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from penstock.errors import FormatTooNew, MonitorError

__all__ = ["FORMAT_VERSION", "MonitorStore", "is_kept"]

log = logging.getLogger("penstock.monitor")
FORMAT_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS about (format_version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS positions (topic TEXT NOT NULL, part INTEGER NOT NULL,
    next INTEGER NOT NULL, PRIMARY KEY (topic, part)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY, source TEXT NOT NULL,
    event TEXT NOT NULL, count INTEGER NOT NULL, rejected INTEGER NOT NULL,
    examined INTEGER NOT NULL, unlisted INTEGER NOT NULL, first_us INTEGER NOT NULL,
    last_us INTEGER NOT NULL, UNIQUE (source, event));
CREATE TABLE IF NOT EXISTS properties (id INTEGER PRIMARY KEY, event INTEGER NOT NULL,
    place TEXT NOT NULL, path TEXT NOT NULL, count INTEGER NOT NULL, string INTEGER NOT NULL,
    date INTEGER NOT NULL, "integer" INTEGER NOT NULL, number INTEGER NOT NULL,
    boolean INTEGER NOT NULL, array INTEGER NOT NULL, object INTEGER NOT NULL,
    "null" INTEGER NOT NULL, first_us INTEGER NOT NULL, last_us INTEGER NOT NULL,
    examples TEXT NOT NULL, UNIQUE (event, place, path));
CREATE TABLE IF NOT EXISTS minutes (minute INTEGER NOT NULL, event INTEGER NOT NULL,
    outcome TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (minute, event, outcome)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hours (hour INTEGER NOT NULL, event INTEGER NOT NULL,
    outcome TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (hour, event, outcome)) WITHOUT ROWID;
"""
"""``events`` are the names seen of a source; ``minutes`` and ``hours`` count since 1970 UTC."""
_COMPANIONS = ("", "-wal", "-shm")
_PATIENCE_S = 30.0


def is_kept(file: Path) -> bool:
    """Whether the monitor of this data folder has ever run."""
    return file.is_file()


class MonitorStore:
    """The monitor's file, open. Safe in several processes; only the monitor role writes.

    With ``mend`` a file that SQLite can't read is set aside and a new one begun: what it held is
    counted again as far as the journal still has it. Raises FormatTooNew for a file of a newer
    Penstock, MonitorError for one that can't be opened.
    """

    def __init__(self, file: Path, *, mend: bool = False) -> None:
        self.file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.connection = _opened(file)
        except sqlite3.OperationalError as error:
            raise MonitorError(f"{file}: {error}") from error
        except sqlite3.DatabaseError as error:
            if not mend:
                raise MonitorError(
                    f"{file}: {error}; `penstock up` sets it aside and counts again"
                ) from error
            log.error("%s: %s; set aside, counting again from the journal", file, error)
            _set_aside(file)
            self.connection = _opened(file)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written inside, or nothing. Raises MonitorError when SQLite does."""
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise MonitorError(f"{self.file}: {error}") from error

    def positions(self, topic: str) -> dict[int, int]:
        """Where the monitor reads on, by partition."""
        return dict(
            self.connection.execute("SELECT part, next FROM positions WHERE topic = ?", (topic,))
        )

    def close(self) -> None:
        """Close the file."""
        self.connection.close()


def _opened(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, isolation_level=None, timeout=_PATIENCE_S,
                                 check_same_thread=False)  # fmt: skip
    try:
        _into_wal(connection)
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA journal_size_limit=8388608")
        _prepare(connection, file)
    except BaseException:
        connection.close()
        raise
    return connection


def _into_wal(connection: sqlite3.Connection) -> None:
    """SQLite does not wait for a lock with this one."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _prepare(connection: sqlite3.Connection, file: Path) -> None:
    """Make what is not there yet; a reader of a finished file takes no lock."""
    try:
        row = connection.execute("SELECT format_version FROM about").fetchone()
    except sqlite3.OperationalError:
        row = None
    if row is None:
        connection.execute("BEGIN IMMEDIATE")
        for statement in filter(str.strip, _SCHEMA.split(";")):
            connection.execute(statement)
        row = connection.execute("SELECT format_version FROM about").fetchone()
        if row is None:
            connection.execute("INSERT INTO about VALUES (?)", (FORMAT_VERSION,))
        connection.execute("COMMIT")
    if row is not None and row[0] > FORMAT_VERSION:
        raise FormatTooNew(file, row[0], FORMAT_VERSION)


def _set_aside(file: Path) -> None:
    aside = file.with_name(f"{file.name}.damaged-{time.time_ns()}")
    for suffix in _COMPANIONS:
        path = file.with_name(file.name + suffix)
        if path.exists():
            path.rename(aside.with_name(aside.name + suffix))
