"""Making a backup, also while Penstock runs.

What is copied first is behind what is copied later, and never ahead of it: the consumers'
positions, the warehouse, state, monitor, deliveries and profiles, then the journal against the
direction in which events travel. After a restore each part finds in the journal what it lacks,
and reads on.
"""

from __future__ import annotations

import fcntl
import logging
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec

from penstock import __version__
from penstock.backup.copying import copy_sqlite, digest, remove_sqlite
from penstock.backup.manifest import Manifest, StoredFile, manifest_id
from penstock.backup.snapshot import Snapshot, take_snapshot
from penstock.backup.target import (
    Target,
    manifests,
    open_target,
    stored_name,
    write_manifest,
)
from penstock.errors import AlreadyRunning, BackupError, NotFound
from penstock.journal.contract import COUNTS, EVENTS, RECEIVED, REJECTED
from penstock.journal.segment import FORMAT_VERSION, Segment, companion, segments_of
from penstock.journal.sqlite import SqliteJournal
from penstock.process.meta import decode_events_meta
from penstock.settings import Settings

__all__ = ["Saved", "save"]

log = logging.getLogger("penstock.backup")
_TOPICS = (EVENTS, COUNTS, RECEIVED, REJECTED)
"""In the order of copying."""


@dataclass(frozen=True)
class Saved:
    """A backup that was made."""

    manifest: Manifest
    copied_files: int
    copied_bytes: int
    """What the target did not have yet."""


def save(
    settings: Settings,
    place: str,
    *,
    now: Callable[[], datetime],
    say: Callable[[str], None] = log.info,
) -> Saved:
    """Copy a data folder to a target, as of now. Raises BackupError; then nothing counts."""
    if not settings.warehouse_file.exists():
        raise NotFound(f"no warehouse in {settings.data}: name the folder with --data")
    target = open_target(place, create=True)
    began = now()
    with _staging(settings.data / "backup-staging") as staging:
        job = _Job(target, staging, settings, say, _known(target))
        job.add_store("journal/positions.sqlite", settings.journal_folder / "positions.sqlite")
        say("copying the warehouse")
        snapshot = take_snapshot(settings, staging / "warehouse.duckdb")
        job.put("warehouse.duckdb", snapshot.file)
        job.formats["warehouse"] = snapshot.format_version
        newest_us = _newest_us(settings, snapshot)
        job.add_store("state.sqlite", settings.state_file, "state")
        job.add_store("monitor.sqlite", settings.monitor_file, "monitor")
        job.add_store("deliveries.sqlite", settings.deliveries_file, "deliveries")
        for file in sorted(settings.profiles_folder.glob("*.sqlite")):
            job.add_store(f"profiles/{file.name}", file, "profiles")
        for folder in (settings.destinations_folder, settings.data / "functions"):
            job.add_code(folder)
        for topic in _TOPICS:
            job.add_topic(topic)
        _check_reach(job.positions, snapshot.positions, job.processed)
    manifest = Manifest(
        id=manifest_id(began),
        ended=now(),
        penstock=__version__,
        formats=job.formats,
        files=job.files,
        warehouse=snapshot.positions,
        warehouse_newest_us=newest_us,
        events=snapshot.events,
        positions=job.positions,
    )
    write_manifest(target, manifest)
    return Saved(manifest, job.copied_files, job.copied_bytes)


def _known(target: Target) -> dict[str, StoredFile]:
    """What the newest backup says of each path."""
    every = manifests(target)
    return {file.path: file for file in every[-1].files} if every else {}


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    with folder.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise AlreadyRunning(f"another backup of {folder.parent} is being made") from error
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@dataclass
class _Job:
    """One backup under way."""

    target: Target
    staging: Path
    settings: Settings
    say: Callable[[str], None]
    known: dict[str, StoredFile]
    files: list[StoredFile] = field(default_factory=list)
    formats: dict[str, int] = field(default_factory=lambda: {"journal": FORMAT_VERSION})
    positions: dict[str, dict[int, tuple[int, int]]] = field(default_factory=dict)
    processed: dict[int, int] = field(default_factory=dict)
    """Of each partition of ``received``, how far ``events`` and ``counts`` reach."""
    copied_files: int = 0
    copied_bytes: int = 0

    def put(self, path: str, copy: Path, mark: str = "") -> None:
        """Store a copy of a file, unless the target has the same content already."""
        stored = StoredFile(path, copy.stat().st_size, digest(copy), mark)
        before = self.known.get(path)
        if before is None or before.sha256 != stored.sha256:
            self.target.put(stored_name(stored.sha256), copy)
            self.copied_files += 1
            self.copied_bytes += stored.bytes
        self.files.append(stored)
        remove_sqlite(copy)

    def add_store(self, path: str, source: Path, store: str = "") -> None:
        """Copy a SQLite file, if there is one."""
        if not source.exists():
            return
        copy = self.staging / Path(path).name
        copy_sqlite(source, copy)
        if store:
            self.formats[store] = _format_of(copy)
        self.put(path, copy)

    def add_code(self, folder: Path) -> None:
        """Copy the Python files that a user wrote into a folder of the data folder."""
        for source in sorted(folder.glob("*.py")):
            copy = self.staging / source.name
            shutil.copyfile(source, copy)
            self.put(source.relative_to(self.settings.data).as_posix(), copy)

    def add_topic(self, topic: str) -> None:
        """Copy what is new of a topic's segments."""
        folder = self.settings.journal_folder / topic
        numbers = (int(entry.name) for entry in folder.glob("*") if entry.name.isdigit())
        for number in sorted(numbers):
            self.say(f"copying the journal: {topic}/{number}")
            segments = segments_of(folder / str(number))
            followings = [*(first for first, _ in segments[1:]), None]
            begin: int | None = None
            kept = len(self.files)
            for (first, path), following in zip(segments, followings, strict=False):
                end = self._add_segment(path, following)
                if end is None:  # retention dropped it, and with it all before it
                    begin = None
                    del self.files[kept:]
                    self.positions.get(topic, {}).pop(number, None)
                    continue
                begin = first if begin is None else begin
                self.positions.setdefault(topic, {})[number] = (begin, end)

    def _add_segment(self, source: Path, following: int | None) -> int | None:
        """Copy a segment that the newest backup lacks; its end, or None when it is gone."""
        path = source.relative_to(self.settings.data).as_posix()
        try:
            mark = "" if following is None else _mark(source)
            before = self.known.get(path)
            if mark and following is not None and before is not None and before.mark == mark:
                self.files.append(before)
                return following
            copy = self.staging / source.name
            copy_sqlite(source, copy)
        except (BackupError, FileNotFoundError):
            if source.exists():
                raise
            log.info("%s was dropped by retention meanwhile", path)
            return None
        segment = Segment(copy)
        try:
            end = segment.end()
            for producer, sequence in segment.producers().items():
                name, _, number = producer.partition("/")
                if name == "process" and number.isdigit():
                    known = self.processed.get(int(number), 0)
                    self.processed[int(number)] = max(known, sequence)
        finally:
            segment.close()
        self.put(path, copy, mark)
        return end if following is None else following


def _mark(segment: Path) -> str:
    """What changes when a closed segment does; empty while its content is in two files."""
    wal = companion(segment, "-wal")
    if wal.exists() and wal.stat().st_size:
        return ""
    about = segment.stat()
    return f"{about.st_ino}-{about.st_size}-{about.st_mtime_ns}"


def _format_of(file: Path) -> int:
    """The ``format_version`` that a SQLite store says of itself."""
    connection = sqlite3.connect(file)
    try:
        row = connection.execute("SELECT format_version FROM about").fetchone()
    except sqlite3.Error as error:
        raise BackupError(f"{file.name} can't be read: {error}") from error
    finally:
        connection.close()
    return int(row[0]) if row else 0


def _newest_us(settings: Settings, snapshot: Snapshot) -> int | None:
    """When the newest event of a snapshot was received, as the journal says, or a little later."""
    newest_us = 0
    journal = SqliteJournal(settings.journal_folder)
    try:
        for part, position in snapshot.positions.items():
            if position == 0:
                continue
            blocks = journal.read(EVENTS, part, position - 1, 1).blocks
            if not blocks or blocks[0].first >= position:
                return None
            newest_us = max(newest_us, decode_events_meta(blocks[0].meta).newest_us)
    except msgspec.MsgspecError:
        return None
    finally:
        journal.close()
    return newest_us


def _check_reach(
    positions: dict[str, dict[int, tuple[int, int]]],
    warehouse: dict[int, int],
    processed: dict[int, int],
) -> None:
    """Each copied topic begins no later than its reader reads on."""
    for topic, wanted in ((EVENTS, warehouse), (RECEIVED, processed)):
        for part, position in wanted.items():
            begin, end = positions.get(topic, {}).get(part, (0, 0))
            if begin > position:
                raise BackupError(
                    f"the journal dropped {topic}/{part} {position} to {begin} while the backup "
                    "ran: make journal_max_bytes or the retention larger, and try again"
                )
            if end < position:
                log.warning("%s/%d ends at %d; %d was read", topic, part, end, position)
