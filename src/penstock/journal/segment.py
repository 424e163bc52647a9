"""One journal file: a run of blocks of one partition, in SQLite.

The file is named by the position of its first event. A block is one row, compressed with zstd and
guarded by a CRC. Commits are durable (WAL, ``synchronous=FULL``): SQLite publishes a commit to
readers only after its fsync.
"""

from __future__ import annotations

import os
import sqlite3
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

import zstandard

from penstock.errors import FormatTooNew, JournalDamaged, JournalError
from penstock.journal.contract import Block, NewBlock

__all__ = [
    "COMPANIONS",
    "FORMAT_VERSION",
    "Segment",
    "companion",
    "create_segment",
    "segment_name",
    "segments_of",
    "sync_folder",
]

FORMAT_VERSION = 1
_LATEST_THINKABLE = 1_000
"""A header that names a later format is damaged."""
_SCHEMA = """
CREATE TABLE about (format_version INTEGER NOT NULL, first INTEGER NOT NULL,
                    created_us INTEGER NOT NULL);
CREATE TABLE blocks (first INTEGER PRIMARY KEY, count INTEGER NOT NULL,
                     created_us INTEGER NOT NULL, meta BLOB NOT NULL, crc INTEGER NOT NULL,
                     body BLOB NOT NULL);
CREATE TABLE producers (producer TEXT PRIMARY KEY, sequence INTEGER NOT NULL) WITHOUT ROWID;
"""
COMPANIONS = ("-wal", "-shm")
"""What SQLite keeps beside an open file, as it ends."""
_head = struct.Struct("<qqq").pack


def segment_name(first: int) -> str:
    """File name of the segment whose first event has this position."""
    return f"{first:020d}.sqlite"


def segments_of(folder: Path) -> list[tuple[int, Path]]:
    """(first position, path) of each segment of a partition, ascending."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - called for each poll; three times as fast
    except FileNotFoundError:
        return []
    found = [
        (int(name[:20]), folder / name)
        for name in names
        if len(name) == 27 and name.endswith(".sqlite") and name[:20].isdigit()
    ]
    return sorted(found)


def companion(path: Path, suffix: str) -> Path:
    """The file that SQLite keeps beside another."""
    return path.with_name(path.name + suffix)


def sync_folder(folder: Path) -> None:
    """Make a new or renamed file of a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def create_segment(folder: Path, first: int, created_us: int, producers: dict[str, int]) -> Path:
    """A new, empty segment; appears under its name only when complete.

    Raises sqlite3.Error or OSError.
    """
    path = folder / segment_name(first)
    draft = path.with_suffix(".new")
    for leftover in [*folder.glob("*.new*"), *(companion(path, suffix) for suffix in COMPANIONS)]:
        leftover.unlink(missing_ok=True)
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
    """An open segment. Reading raises JournalDamaged, or JournalError when it may pass.

    Opening raises FormatTooNew for one that a newer Penstock wrote.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.first = int(path.stem)
        self._compressor = zstandard.ZstdCompressor(level=1)
        self._decompressor = zstandard.ZstdDecompressor()
        try:
            # mode=rw never creates a file: retention may have dropped it a moment ago
            self._connection = sqlite3.connect(
                f"file:{quote(str(path))}?mode=rw",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=30,
                cached_statements=16,
            )
        except sqlite3.Error as error:
            raise _translated(path, error) from error
        self._connection.text_factory = bytes
        try:
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.execute("PRAGMA wal_autocheckpoint=256")
            self._connection.execute("PRAGMA journal_size_limit=8388608")
        except sqlite3.Error as error:
            self._connection.close()
            raise _translated(path, error) from error
        self._check_format()

    def _check_format(self) -> None:
        """Leave what a newer Penstock wrote alone: to us it may look like damage to be mended.

        A header that can't be read is damage, found when the blocks are read.
        """
        try:
            version = self.about()[0]
        except JournalError:
            return
        if FORMAT_VERSION < version <= _LATEST_THINKABLE:
            self._connection.close()
            raise FormatTooNew(self.path, version, FORMAT_VERSION)

    def about(self) -> tuple[int, int, int]:
        """(format_version, first, created_us); fails on a file that is no segment."""
        row = self._one("SELECT format_version, first, created_us FROM about")
        if row is None:
            raise JournalDamaged(f"{self.path} has no header")
        return row[0], row[1], row[2]

    def end(self) -> int:
        """Position after the newest block."""
        row = self._one("SELECT first + count FROM blocks ORDER BY first DESC LIMIT 1")
        return self.first if row is None else row[0]

    def last_created_us(self) -> int:
        """When the newest block was written; when the segment was begun, if there is none."""
        row = self._one("SELECT created_us FROM blocks ORDER BY first DESC LIMIT 1")
        return self.about()[2] if row is None else row[0]

    def producers(self) -> dict[str, int]:
        """The highest sequence of each producer."""
        try:
            rows = self._connection.execute("SELECT producer, sequence FROM producers")
            return {producer.decode(): sequence for producer, sequence in rows}
        except sqlite3.Error as error:
            raise _translated(self.path, error) from error
        except (AttributeError, UnicodeDecodeError) as error:
            raise JournalDamaged(f"{self.path}: {error}") from error

    def append(self, first: int, blocks: list[NewBlock], created_us: int) -> int:
        """Write blocks from a position on, durably, in one transaction; returns the new end.

        Raises sqlite3.Error; then nothing is to be taken as written.
        """
        run = self._connection.execute
        run("BEGIN IMMEDIATE")
        try:
            for block in blocks:
                self._insert(Block(first, block.count, created_us, block.meta, block.body))
                first += block.count
                if block.producer:
                    run(
                        "INSERT OR REPLACE INTO producers VALUES (?,?)",
                        (block.producer, block.sequence),
                    )
            run("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                run("ROLLBACK")
            raise
        return first

    def copy(self, blocks: Iterable[Block]) -> None:
        """Write blocks of another segment, at their own positions, in one transaction."""
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            for block in blocks:
                self._insert(block)

    def _insert(self, block: Block) -> None:
        body = self._compressor.compress(block.body)
        head = (block.first, block.count, block.created_us)
        self._connection.execute(
            "INSERT INTO blocks VALUES (?,?,?,?,?,?)",
            (*head, block.meta, _crc(*head, block.meta, body), body),
        )

    def read(self, position: int, limit: int) -> Iterator[Block]:
        """Blocks that hold ``position`` or come after it, and begin before ``limit``.

        Raises JournalDamaged, after the blocks before the damage were yielded.
        """
        rows = self._connection.cursor()
        try:
            rows.execute(
                "SELECT first, count, created_us, meta, crc, body FROM blocks "
                "WHERE first >= coalesce((SELECT max(first) FROM blocks WHERE first <= ?), 0) "
                "AND first < ? AND first + count > ? ORDER BY first",
                (position, limit, position),
            )
            for first, count, created_us, meta, crc, body in rows:
                if crc != _crc(first, count, created_us, meta, body):
                    raise JournalDamaged(f"{self.path}: block at {first} fails its checksum")
                if first + count <= position:
                    raise JournalDamaged(f"{self.path}: block at {first} is out of order")
                position = first + count
                yield Block(first, count, created_us, meta, self._decompressor.decompress(body))
        except sqlite3.Error as error:
            raise _translated(self.path, error) from error
        except (struct.error, TypeError, zstandard.ZstdError) as error:
            raise JournalDamaged(f"{self.path}: {error}") from error
        finally:
            rows.close()  # else it would read this moment's state for ever

    def starts_after(self, position: int) -> int | None:
        """First position of the first block after a position, past pages that can't be read."""
        try:
            row = self._one(
                "SELECT first FROM blocks WHERE first > ? ORDER BY first LIMIT 1", position
            )
        except JournalDamaged:
            return self._readable_after(position)
        if row is not None and row[0] <= position:
            raise JournalDamaged(f"{self.path}: blocks are out of order after {position}")
        return None if row is None else row[0]

    def _readable_after(self, position: int) -> int:
        """Coming from the end, the last block before the damage."""
        found = None
        try:
            for (first,) in self._connection.execute(
                "SELECT first FROM blocks WHERE first > ? ORDER BY first DESC", (position,)
            ):
                if first <= position or (found is not None and first >= found):
                    break  # out of order: more damage
                found = int(first)
        except sqlite3.Error as error:
            if found is None:
                raise _translated(self.path, error) from error
        if found is None:
            raise JournalDamaged(f"{self.path}: nothing after {position} can be read")
        return found

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _one(self, query: str, *values: int) -> tuple[int, ...] | None:
        try:
            row: tuple[int, ...] | None = self._connection.execute(query, values).fetchone()
        except sqlite3.Error as error:
            raise _translated(self.path, error) from error
        if row is not None and not all(type(value) is int for value in row):
            raise JournalDamaged(f"{self.path}: {row} where numbers belong")
        return row


def _translated(path: Path, error: sqlite3.Error) -> JournalError:
    """Damage is what the file itself says; a lock or a failing disk may pass.

    Our statements are right, so SQLITE_ERROR too speaks of the file: a table is missing, or its
    format is unknown.
    """
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR):
        return JournalDamaged(f"{path}: {error}")
    return JournalError(f"{path}: {error}")


def _crc(first: int, count: int, created_us: int, meta: bytes, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(meta, zlib.crc32(_head(first, count, created_us))))
