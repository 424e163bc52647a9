"""A consistent copy of the warehouse, made while loading goes on.

1. The engine holds checkpoints off (``warehouses.checkpoints``).
2. The main file is copied, and the write-ahead file up to the last commit before the hold.
3. The engine says whether the copy is good, and goes on as before.
4. Here, the copy is opened: the write-ahead file goes into the main file.
5. The copy gets its name by a rename: who opens it sees a whole one, the old or the new.

Nothing of this makes the loader wait; docs/decisions/0003-snapshots.md has the figures.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import duckdb

from penstock.backup.copying import copy_bytes
from penstock.engine import DataFolderLock, is_running
from penstock.errors import (
    AlreadyRunning,
    BackupError,
    EngineUnreachable,
    NotFound,
    WarehouseUnavailable,
)
from penstock.journal.segment import sync_folder
from penstock.settings import Settings
from penstock.warehouses.checkpoints import Hold, write_ahead_file
from penstock.warehouses.copies import held_by_engine

__all__ = ["Snapshot", "publish", "seconds_until_due", "take_snapshot"]

log = logging.getLogger("penstock.backup")
_TRIES = 3
_PATIENCE_S = 20.0
_PAUSE_S = 0.2
_MEMORY = "1GB"


@dataclass(frozen=True)
class Snapshot:
    """A copy of the warehouse as of one commit."""

    file: Path
    bytes: int
    positions: dict[int, int]
    """Of each partition of ``events``, where the warehouse would have read on."""
    events: int
    """Events that have rows."""
    format_version: int


def publish(settings: Settings, file: Path) -> Snapshot:
    """Make a snapshot under a name that other tools open; one of that name is replaced.

    It is read-only: a tool that wrote to it would lose that with the next one.
    """
    file = file.absolute()
    if file == settings.warehouse_file.absolute():
        raise BackupError(f"{file} is the warehouse itself; name another file with --out")
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.draft")
    with file.with_name(f".{file.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one after the other: a schedule's, and a person's
        try:
            made = take_snapshot(settings, draft)
            draft.chmod(0o444)
            write_ahead_file(file).unlink(missing_ok=True)
            draft.rename(file)
        finally:
            _remove(draft)
    sync_folder(file.parent)
    return Snapshot(file, made.bytes, made.positions, made.events, made.format_version)


def seconds_until_due(file: Path, every: timedelta, now: float) -> float:
    """How long to wait for the next copy of a schedule; 0 when it is due, or there is none yet.

    A clock that was set back makes it wait no longer than ``every``.
    """
    try:
        age = max(now - file.stat().st_mtime, 0.0)
    except OSError:
        return 0.0
    return max(every.total_seconds() - age, 0.0)


def take_snapshot(settings: Settings, file: Path) -> Snapshot:
    """Make a snapshot under a name that nobody else uses, durably.

    Raises BackupError, WarehouseUnavailable when the engine closed meanwhile each time, or
    EngineUnreachable.
    """
    try:
        _copy(settings, file)
        return _settled(file)
    except duckdb.Error as error:
        _remove(file)
        raise BackupError(f"the copy of the warehouse can't be opened: {error}") from error
    except BaseException:
        _remove(file)
        raise


def _copy(settings: Settings, file: Path) -> None:
    """Both files as of one commit; again when the engine ended or closed meanwhile."""
    for tries_left in range(_TRIES - 1, -1, -1):
        _remove(file)
        try:
            with ExitStack() as opened:
                hold = _held(settings, opened)
                copy_bytes(settings.warehouse_file, file, hold.main_bytes)
                if hold.wal_bytes:
                    source = write_ahead_file(settings.warehouse_file)
                    copy_bytes(source, write_ahead_file(file), hold.wal_bytes)
            return
        except (BackupError, WarehouseUnavailable, EngineUnreachable) as error:
            if not tries_left:
                raise
            log.info("%s; copying again", error)


def _held(settings: Settings, opened: ExitStack) -> Hold:
    """The warehouse stands still enough to be copied, whether an engine runs or not."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            if is_running(settings):
                return opened.enter_context(held_by_engine(settings.copies_socket))
            if not settings.warehouse_file.exists():
                raise NotFound(f"no warehouse in {settings.data}: start `penstock up` on it first")
            lock = DataFolderLock(settings.run_folder, engine=False)
            opened.callback(lock.release)
            return _at_rest(settings)
        except (AlreadyRunning, EngineUnreachable):  # it starts or ends just now
            if time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_S)


def _at_rest(settings: Settings) -> Hold:
    file = settings.warehouse_file
    wal = write_ahead_file(file)
    return Hold(file.stat().st_size, wal.stat().st_size if wal.exists() else 0)


def _settled(file: Path) -> Snapshot:
    """The copy in one file, and what it holds."""
    # opening it reads the write-ahead file
    connection = duckdb.connect(str(file), config={"memory_limit": _MEMORY, "threads": 1})
    try:
        connection.execute("CHECKPOINT")
        rows = connection.execute("SELECT part, next, loaded FROM penstock.progress").fetchall()
        about = connection.execute("SELECT format_version FROM penstock.about").fetchone()
    finally:
        connection.close()
    if write_ahead_file(file).exists():
        raise BackupError(f"{file} still has a write-ahead file beside it")
    with file.open("rb") as written:
        os.fsync(written.fileno())
    return Snapshot(
        file,
        file.stat().st_size,
        {part: position for part, position, _ in rows},
        sum(loaded for _, _, loaded in rows),
        int(about[0]) if about else 0,
    )


def _remove(file: Path) -> None:
    """A copy and what the engine keeps beside it."""
    file.unlink(missing_ok=True)
    write_ahead_file(file).unlink(missing_ok=True)
    shutil.rmtree(file.with_name(f"{file.name}.tmp"), ignore_errors=True)
