"""``deliveries.sqlite``: how far each destination is, and what became of its events."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from penstock import logs
from penstock.errors import DeliveryError, FormatTooNew

__all__ = ["FORMAT_VERSION", "DeliveryFile"]

log = logs.get("penstock.deliver")
FORMAT_VERSION = 1
_PATIENCE_S = 30.0
_COMPANIONS = ("", "-wal", "-shm")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS about (format_version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS positions (destination TEXT NOT NULL, part INTEGER NOT NULL,
    started INTEGER NOT NULL, next INTEGER NOT NULL, PRIMARY KEY (destination, part)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS states (destination TEXT PRIMARY KEY, state TEXT NOT NULL,
    reason TEXT NOT NULL, behind INTEGER NOT NULL, broken_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS minutes (minute INTEGER NOT NULL, destination TEXT NOT NULL,
    action TEXT NOT NULL, step TEXT NOT NULL, code TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (minute, destination, action, step, code)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hours (hour INTEGER NOT NULL, destination TEXT NOT NULL,
    action TEXT NOT NULL, step TEXT NOT NULL, code TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (hour, destination, action, step, code)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS latencies (hour INTEGER NOT NULL, destination TEXT NOT NULL,
    bucket INTEGER NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (hour, destination, bucket)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ledger (destination TEXT NOT NULL, source TEXT NOT NULL,
    hour INTEGER NOT NULL, more INTEGER NOT NULL DEFAULT 0, delivered INTEGER NOT NULL DEFAULT 0,
    filtered INTEGER NOT NULL DEFAULT 0, waiting INTEGER NOT NULL DEFAULT 0,
    dead INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (destination, source, hour)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS gaps (destination TEXT NOT NULL, part INTEGER NOT NULL,
    first INTEGER NOT NULL, "end" INTEGER NOT NULL, reason TEXT NOT NULL, at_us INTEGER NOT NULL,
    PRIMARY KEY (destination, part, first)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS retries (id INTEGER PRIMARY KEY, destination TEXT NOT NULL,
    part INTEGER NOT NULL, position INTEGER NOT NULL, place INTEGER NOT NULL,
    action TEXT NOT NULL, attempts INTEGER NOT NULL, due_us INTEGER NOT NULL,
    first_us INTEGER NOT NULL, code TEXT NOT NULL, source TEXT NOT NULL, hour INTEGER NOT NULL,
    person TEXT NOT NULL, replay INTEGER NOT NULL,
    UNIQUE (destination, replay, part, position, place));
CREATE INDEX IF NOT EXISTS retries_due ON retries (destination, due_us);
CREATE INDEX IF NOT EXISTS retries_person ON retries (destination, person, part, position)
    WHERE person <> '';
CREATE TABLE IF NOT EXISTS dead (id INTEGER PRIMARY KEY AUTOINCREMENT, destination TEXT NOT NULL,
    action TEXT NOT NULL, place INTEGER NOT NULL, kind TEXT NOT NULL, code TEXT NOT NULL,
    reason TEXT NOT NULL, at_us INTEGER NOT NULL, part INTEGER NOT NULL, count INTEGER NOT NULL,
    first INTEGER NOT NULL, "last" INTEGER NOT NULL, positions BLOB NOT NULL,
    replay INTEGER NOT NULL, retry INTEGER NOT NULL DEFAULT 0, message_id TEXT NOT NULL DEFAULT '',
    event TEXT NOT NULL DEFAULT '', request TEXT, answer TEXT);
CREATE INDEX IF NOT EXISTS dead_reason ON dead (destination, code, id);
CREATE INDEX IF NOT EXISTS dead_retry ON dead (destination) WHERE retry = 1;
CREATE TABLE IF NOT EXISTS samples (id INTEGER PRIMARY KEY AUTOINCREMENT,
    destination TEXT NOT NULL, action TEXT NOT NULL, step TEXT NOT NULL, code TEXT NOT NULL,
    at_us INTEGER NOT NULL, message_id TEXT NOT NULL, event TEXT NOT NULL, reason TEXT NOT NULL,
    request TEXT, answer TEXT);
CREATE INDEX IF NOT EXISTS samples_reason ON samples (destination, action, step, code, id);
CREATE TABLE IF NOT EXISTS recent (id INTEGER PRIMARY KEY, destination TEXT NOT NULL,
    part INTEGER NOT NULL, position INTEGER NOT NULL, step TEXT NOT NULL, code TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS recent_event ON recent (part, position);
CREATE INDEX IF NOT EXISTS recent_destination ON recent (destination, id);
CREATE TABLE IF NOT EXISTS replays (id INTEGER PRIMARY KEY AUTOINCREMENT,
    destination TEXT NOT NULL, start_us INTEGER NOT NULL, end_us INTEGER NOT NULL,
    events TEXT NOT NULL, sources TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL,
    requested_us INTEGER NOT NULL, started_us INTEGER NOT NULL DEFAULT 0,
    finished_us INTEGER NOT NULL DEFAULT 0, selected INTEGER NOT NULL DEFAULT 0,
    delivered INTEGER NOT NULL DEFAULT 0, filtered INTEGER NOT NULL DEFAULT 0,
    waiting INTEGER NOT NULL DEFAULT 0, dead INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS replay_positions (replay INTEGER NOT NULL, part INTEGER NOT NULL,
    first INTEGER NOT NULL, next INTEGER NOT NULL, "end" INTEGER NOT NULL,
    PRIMARY KEY (replay, part)) WITHOUT ROWID;
"""


class DeliveryFile:
    """The file, open. Safe in several processes.

    With ``mend`` a file that SQLite can't read is set aside and a new one begun. Raises
    FormatTooNew for a file of a newer Penstock, DeliveryError for one that can't be opened.
    """

    def __init__(self, file: Path, *, mend: bool = False) -> None:
        self.path = file
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.connection = _opened(file)
        except sqlite3.OperationalError as error:
            raise DeliveryError(f"{file}: {error}") from error
        except sqlite3.DatabaseError as error:
            if not mend:
                raise DeliveryError(
                    f"{file}: {error}; `penstock up` sets it aside and begins a new one"
                ) from error
            log.error("a file can't be read and is set aside; destinations go on at the journal's "
                      "position, retries and dead letters are in the old file",
                      file=file, error=error)  # fmt: skip
            _set_aside(file)
            self.connection = _opened(file)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All that is written inside, or nothing. Raises DeliveryError when SQLite does."""
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise DeliveryError(f"{self.path}: {error}") from error

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """All that is read inside is of one moment. Raises DeliveryError when SQLite does."""
        try:
            self.connection.execute("BEGIN")
            try:
                yield self.connection
            finally:
                self.connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise DeliveryError(f"{self.path}: {error}") from error

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
