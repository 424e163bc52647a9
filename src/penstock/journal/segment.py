"""One journal file: a run of blocks of one partition, in SQLite.

The file is named by the position of its first event. A block is one row, compressed with zstd and
guarded by a CRC. Commits are durable (WAL, ``synchronous=FULL``): SQLite publishes a commit to
readers only after its fsync.
"""

from __future__ import annotations

import os
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path

import zstandard

from penstock.errors import JournalDamaged, JournalError
from penstock.journal.contract import Block, NewBlock

__all__ = ["FORMAT_VERSION", "Segment", "create_segment", "segment_name", "sync_folder"]

FORMAT_VERSION = 1
_SCHEMA = """
CREATE TABLE about (format_version INTEGER NOT NULL, first INTEGER NOT NULL,
                    created_us INTEGER NOT NULL);
CREATE TABLE blocks (first INTEGER PRIMARY KEY, count INTEGER NOT NULL,
                     created_us INTEGER NOT NULL, meta BLOB NOT NULL, crc INTEGER NOT NULL,
                     body BLOB NOT NULL);
CREATE TABLE producers (producer TEXT PRIMARY KEY, sequence INTEGER NOT NULL) WITHOUT ROWID;
"""
_compressor = zstandard.ZstdCompressor(level=1)
_decompressor = zstandard.ZstdDecompressor()


def segment_name(first: int) -> str:
    """File name of the segment whose first event has this position."""
    return f"{first:020d}.sqlite"


def sync_folder(folder: Path) -> None:
    """Make a new or renamed file of a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def create_segment(folder: Path, first: int, created_us: int, producers: dict[str, int]) -> Path:
    """A new, empty segment; appears under its name only when complete."""
    path = folder / segment_name(first)
    draft = path.with_suffix(".new")
    for leftover in folder.glob(f"{draft.name}*"):
        leftover.unlink()
    connection = sqlite3.connect(draft, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript("BEGIN;" + _SCHEMA)
        connection.execute("INSERT INTO about VALUES (?,?,?)", (FORMAT_VERSION, first, created_us))
        connection.executemany("INSERT INTO producers VALUES (?,?)", producers.items())
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
    draft.rename(path)
    sync_folder(folder)
    return path


class Segment:
    """An open segment. Reading raises JournalDamaged, or JournalError when it may pass."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.first = int(path.stem)
        self._connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=30, cached_statements=16
        )
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute("PRAGMA wal_autocheckpoint=256")
        self._connection.execute("PRAGMA journal_size_limit=8388608")

    def about(self) -> tuple[int, int, int]:
        """(format_version, first, created_us); fails on a file that is no segment."""
        row = self._one("SELECT format_version, first, created_us FROM about")
        if row is None:
            raise JournalDamaged(f"{self.path} has no header")
        return row[0], row[1], row[2]

    def end(self) -> int:
        """Position after the newest block."""
        row = self._one("SELECT first + count FROM blocks ORDER BY first DESC LIMIT 1")
        return self.first if row is None else int(row[0])

    def last_created_us(self) -> int:
        """When the newest block was written, 0 when there is none."""
        row = self._one("SELECT created_us FROM blocks ORDER BY first DESC LIMIT 1")
        return 0 if row is None else int(row[0])

    def producers(self) -> dict[str, int]:
        """The highest sequence of each producer."""
        try:
            return dict(self._connection.execute("SELECT producer, sequence FROM producers"))
        except sqlite3.Error as error:
            raise _translated(self.path, error) from error

    def append(self, first: int, blocks: list[NewBlock], created_us: int) -> int:
        """Write blocks from a position on, durably, in one transaction; returns the new end.

        Raises sqlite3.Error; then nothing is to be taken as written.
        """
        run = self._connection.execute
        run("BEGIN IMMEDIATE")
        try:
            for block in blocks:
                body = _compressor.compress(block.body)
                run(
                    "INSERT INTO blocks VALUES (?,?,?,?,?,?)",
                    (first, block.count, created_us, block.meta, _crc(block.meta, body), body),
                )
                first += block.count
                if block.producer:
                    run(
                        "INSERT OR REPLACE INTO producers VALUES (?,?)",
                        (block.producer, block.sequence),
                    )
            run("COMMIT")
        except sqlite3.Error:
            if self._connection.in_transaction:
                run("ROLLBACK")
            raise
        return first

    def read(self, position: int, limit: int) -> Iterator[Block]:
        """Blocks that hold ``position`` or come after it, and begin before ``limit``.

        Raises JournalDamaged, after the blocks before the damage were yielded.
        """
        try:
            rows = self._connection.execute(
                "SELECT first, count, created_us, meta, crc, body FROM blocks "
                "WHERE first >= coalesce((SELECT max(first) FROM blocks WHERE first <= ?), 0) "
                "AND first < ? ORDER BY first",
                (position, limit),
            )
            for first, count, created_us, meta, crc, body in rows:
                if first + count <= position:
                    continue
                if crc != _crc(meta, body):
                    raise JournalDamaged(f"{self.path}: block at {first} fails its checksum")
                yield Block(first, count, created_us, meta, _decompressor.decompress(body))
        except sqlite3.Error as error:
            raise _translated(self.path, error) from error
        except zstandard.ZstdError as error:
            raise JournalDamaged(f"{self.path}: {error}") from error

    def starts_after(self, position: int) -> int | None:
        """First position of the first block after a position, without reading its body."""
        row = self._one("SELECT first FROM blocks WHERE first > ? ORDER BY first LIMIT 1", position)
        return None if row is None else int(row[0])

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _one(self, query: str, *values: int) -> tuple[int, ...] | None:
        try:
            row: tuple[int, ...] | None = self._connection.execute(query, values).fetchone()
        except sqlite3.Error as error:
            raise _translated(self.path, error) from error
        return row


def _translated(path: Path, error: sqlite3.Error) -> JournalError:
    """Damage is what the file itself says; a lock or a failing disk may pass."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or "no such table" in str(error):
        return JournalDamaged(f"{path}: {error}")
    return JournalError(f"{path}: {error}")


def _crc(meta: bytes, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(meta))
