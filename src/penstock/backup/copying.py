"""Copying files that are in use, without taking the disk away from those who use them."""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
import time
from pathlib import Path
from urllib.parse import quote

from penstock.errors import BackupError
from penstock.journal.segment import COMPANIONS, companion

__all__ = ["copy_bytes", "copy_sqlite", "digest", "remove_sqlite"]

_STEP = 4 * 1024 * 1024
_REST = 0.5
"""Pause after a step, as a part of the time it took."""
_STEP_PAGES = _STEP // 4096
_UNABLE = {errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


def copy_bytes(source: Path, destination: Path, length: int) -> None:
    """Copy the first ``length`` bytes durably. Raises BackupError when there are fewer.

    The kernel copies, and shares the blocks where the file system can. Each step is flushed
    before the next, with a pause between: a commit of somebody else has little to wait for. What
    was written is not kept in the page cache, where others' pages are worth more.
    """
    with source.open("rb") as reader, destination.open("wb") as writer:
        into, done = writer.fileno(), 0
        while done < length:
            began = time.monotonic()
            count = _copy_step(reader.fileno(), into, done, min(_STEP, length - done))
            if count == 0:
                raise BackupError(f"{source} ended after {done} of {length} bytes")
            os.fdatasync(into)
            os.posix_fadvise(into, done, count, os.POSIX_FADV_DONTNEED)
            done += count
            time.sleep((time.monotonic() - began) * _REST)
        os.fsync(into)


def _copy_step(source: int, destination: int, offset: int, count: int) -> int:
    try:
        return os.copy_file_range(source, destination, count, offset, offset)
    except OSError as error:
        if error.errno not in _UNABLE:
            raise
    data = os.pread(source, count, offset)
    return os.pwrite(destination, data, offset) if data else 0


def copy_sqlite(source: Path, destination: Path) -> None:
    """Copy a SQLite file as of one moment, whoever writes to it. Raises BackupError."""
    remove_sqlite(destination)
    try:
        # mode=rw: a file in WAL mode can't be read without its shared memory
        reader = sqlite3.connect(
            f"file:{quote(str(source))}?mode=rw", uri=True, timeout=30, isolation_level=None
        )
        try:
            reader.execute("BEGIN")  # one moment for all steps: no commit begins the copy anew
            reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
            _copy_pages(reader, destination)
        finally:
            reader.close()
    except sqlite3.Error as error:
        raise BackupError(f"can't copy {source}: {error}") from error


def _copy_pages(reader: sqlite3.Connection, destination: Path) -> None:
    writer = sqlite3.connect(destination)
    try:
        writer.execute("PRAGMA synchronous=OFF")
        with destination.open("rb") as written:
            reader.backup(
                writer, pages=_STEP_PAGES, progress=lambda *_: os.fdatasync(written.fileno())
            )
    finally:
        writer.close()
    with destination.open("rb") as written:
        os.fsync(written.fileno())


def remove_sqlite(file: Path) -> None:
    """Remove a SQLite file and what SQLite keeps beside it."""
    for suffix in ("", *COMPANIONS, "-journal"):
        companion(file, suffix).unlink(missing_ok=True)


def digest(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
