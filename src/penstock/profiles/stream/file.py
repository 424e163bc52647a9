"""``profiles/<space>.sqlite``: everything known of the people of one space."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from penstock.errors import FormatTooNew, ProfileError

__all__ = ["FORMAT_VERSION", "ProfileFile", "file_of", "renew"]

FORMAT_VERSION = 1
_PATIENCE_S = 30.0
_SCHEMA = """
CREATE TABLE about (format_version INTEGER NOT NULL, instance TEXT NOT NULL);
CREATE TABLE positions (part INTEGER PRIMARY KEY, next INTEGER NOT NULL);
CREATE TABLE states (segment INTEGER PRIMARY KEY, state BLOB NOT NULL);
CREATE TABLE standings (profile INTEGER PRIMARY KEY, standing BLOB NOT NULL, due_us INTEGER);
CREATE INDEX standings_due ON standings (due_us) WHERE due_us IS NOT NULL;
CREATE TABLE members (audience TEXT NOT NULL, profile INTEGER NOT NULL, since_us INTEGER NOT NULL,
    PRIMARY KEY (audience, profile)) WITHOUT ROWID;
CREATE TABLE sizes (audience TEXT NOT NULL, day INTEGER NOT NULL, size INTEGER NOT NULL,
    PRIMARY KEY (audience, day)) WITHOUT ROWID;
CREATE TABLE outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, message_id TEXT NOT NULL,
    payload BLOB NOT NULL);
CREATE TABLE assignments (part INTEGER NOT NULL, first INTEGER NOT NULL, count INTEGER NOT NULL,
    segments BLOB NOT NULL, PRIMARY KEY (part, first)) WITHOUT ROWID;
CREATE TABLE signals (key TEXT PRIMARY KEY, ready INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE histories (id INTEGER PRIMARY KEY, keys TEXT NOT NULL);
CREATE TABLE history_parts (history INTEGER NOT NULL, part INTEGER NOT NULL, next INTEGER NOT NULL,
    "end" INTEGER NOT NULL, PRIMARY KEY (history, part)) WITHOUT ROWID;
CREATE TABLE computations (kind TEXT NOT NULL, slug TEXT NOT NULL, definition BLOB NOT NULL,
    state TEXT NOT NULL, created_us INTEGER NOT NULL, PRIMARY KEY (kind, slug)) WITHOUT ROWID;
CREATE TABLE accounts (group_id TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE sweep (id INTEGER PRIMARY KEY CHECK (id = 1), next INTEGER NOT NULL);
"""


def file_of(folder: Path, space: str) -> Path:
    """Where the profiles of a space are kept."""
    return folder / f"{space}.sqlite"


def renew(path: Path) -> None:
    """Make a copy of a file another one: what it tells is not what the original has told."""
    connection = sqlite3.connect(path)
    try:
        with connection:
            connection.execute("UPDATE about SET instance = ?", (secrets.token_hex(8),))
    finally:
        connection.close()


def _connected(path: Path, *, read_only: bool) -> sqlite3.Connection:
    name = f"{path.absolute().as_uri()}?mode=ro" if read_only else str(path)
    if not read_only:
        path.parent.mkdir(parents=True, exist_ok=True)
    return sqlite3.connect(
        name, uri=read_only, isolation_level=None, timeout=_PATIENCE_S, check_same_thread=False
    )


class ProfileFile:
    """The file, open for its one writer, or with ``read_only`` for anybody.

    Raises ProfileError when it can't be opened, FormatTooNew for a file of a newer Penstock.
    """

    def __init__(
        self,
        path: Path,
        create: Callable[[sqlite3.Connection], None] = lambda _: None,
        *,
        read_only: bool = False,
    ) -> None:
        """``create``: makes the tables of others in a new file."""
        self.path = path
        try:
            self.connection = _connected(path, read_only=read_only)
        except sqlite3.Error as error:
            raise self._error(error) from error
        try:
            if not read_only:
                self._prepare(create)
            self.instance = self._check()
            """Another one for another file, a restored one too."""
        except sqlite3.Error as error:
            self.close()
            raise self._error(error) from error

    def _error(self, error: sqlite3.Error) -> ProfileError:
        """What SQLite says, with what to do about a damaged file."""
        if type(error) is not sqlite3.DatabaseError:  # its subclasses are of other kinds
            return ProfileError(f"{self.path}: {error}")
        return ProfileError(
            f"{self.path} is damaged ({error}): stop Penstock and restore it from a backup with "
            "`penstock restore`; `penstock doctor` says what else can be done"
        )

    def _prepare(self, create: Callable[[sqlite3.Connection], None]) -> None:
        connection = self.connection
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA wal_autocheckpoint=4000")
        connection.execute("PRAGMA journal_size_limit=33554432")
        connection.execute("PRAGMA cache_size=-65536")
        connection.execute("PRAGMA temp_store=MEMORY")
        known = "SELECT 1 FROM sqlite_master WHERE name = 'about'"
        if connection.execute(known).fetchone():
            return
        with self.transaction():
            for statement in filter(str.strip, _SCHEMA.split(";")):
                connection.execute(statement)
            create(connection)
            connection.execute(
                "INSERT INTO about VALUES (?, ?)", (FORMAT_VERSION, secrets.token_hex(8))
            )

    def _check(self) -> str:
        version, instance = self.connection.execute("SELECT * FROM about").fetchone()
        if version > FORMAT_VERSION:
            self.close()
            raise FormatTooNew(self.path, version, FORMAT_VERSION)
        return str(instance)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All that is written inside, or nothing. Raises ProfileError when SQLite does."""
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
            raise self._error(error) from error

    def close(self) -> None:
        """Close the file."""
        self.connection.close()
