"""Making a data folder from a backup, as of the backup or of an earlier time.

Everything is fetched and compared with its checksum before anything gets its place.
"""

from __future__ import annotations

import logging
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from penstock.backup.copying import digest, remove_sqlite
from penstock.backup.manifest import Manifest, StoredFile
from penstock.backup.rewind import Reach, rewind
from penstock.backup.target import Target, manifests, open_target, stored_name
from penstock.destinations.delivery import file as deliveries
from penstock.errors import BackupError, FormatTooNew
from penstock.journal import segment as journal
from penstock.journal.contract import EVENTS, RECEIVED
from penstock.journal.segment import sync_folder
from penstock.monitor import store as monitor
from penstock.process.worker import CONSUMER as PROCESS
from penstock.profiles.stream import file as profiles
from penstock.warehouses import migrations as warehouse
from penstock.warehouses.loader import CONSUMER as WAREHOUSE
from penstock.workspace import tables as state

__all__ = ["Plan", "Restored", "choose", "restore"]

log = logging.getLogger("penstock.backup")
_JOURNAL = "journal/"
_PROFILES = "profiles/"
_POSITIONS = "journal/positions.sqlite"
_FORMATS = {
    "journal": journal.FORMAT_VERSION,
    "warehouse": warehouse.FORMAT_VERSION,
    "state": state.FORMAT_VERSION,
    "monitor": monitor.FORMAT_VERSION,
    "deliveries": deliveries.FORMAT_VERSION,
    "profiles": profiles.FORMAT_VERSION,
}


@dataclass(frozen=True)
class Plan:
    """What is taken from which backup."""

    files: list[StoredFile]
    warehouse: Manifest | None
    """Whose warehouse it is; None when it is made anew from all of ``events``."""
    newest: Manifest
    """The last one whose journal is read."""


@dataclass(frozen=True)
class Restored:
    """What stands in the data folder now."""

    plan: Plan
    loaded: dict[int, int]
    """Where the warehouse reads on in each partition of ``events``."""
    waiting: int
    """Clean events that ``penstock up`` will load."""
    unprocessed: int
    """Received events that ``penstock up`` will process first."""


def restore(
    place: str,
    data: Path,
    *,
    until: datetime | None = None,
    say: Callable[[str], None] = log.info,
) -> Restored:
    """Make a data folder from the newest backup of a target, or as of a time.

    Raises BackupError with everything that is missing or damaged, or FormatTooNew.
    """
    target = open_target(place)
    until_us = None if until is None else round(until.timestamp() * 1_000_000)
    plan = choose(manifests(target), until_us)
    _check_empty(data)
    staging = data / "restoring"
    shutil.rmtree(staging, ignore_errors=True)
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    staging.mkdir()
    try:
        _fetch(target, plan, staging, say)
        restored = _aligned(staging, plan, until_us)
        for file in (staging / _PROFILES).glob("*.sqlite"):
            profiles.renew(file)
        _place(staging, data)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return restored


def choose(found: list[Manifest], until_us: int | None) -> Plan:
    """Which files to take. Raises BackupError when the time can't be had, or FormatTooNew.

    The warehouse is the newest one that holds nothing received later; the journal is that of the
    backups from that one to the first made after the time, so that it reaches up to it.
    """
    if not found:
        raise BackupError("there is no backup")
    if until_us is None:
        plan = Plan(found[-1].files, found[-1], found[-1])
        _check_formats([plan.newest])
        return plan
    base = max((number for number, each in enumerate(found) if _holds_only(each, until_us)),
               default=None)  # fmt: skip
    after = next((n for n, each in enumerate(found) if _us(each.began) >= until_us), len(found) - 1)
    last = max(after, base or 0)
    if base is None:
        _check_reaches_back(found[: last + 1])
    used = found[base or 0 : last + 1]
    _check_formats(used)
    files = {file.path: file for each in used for file in each.files
             if file.path.startswith(_JOURNAL)}  # fmt: skip
    others = {file.path: file for file in used[0].files if not file.path.startswith(_JOURNAL)}
    if base is None:
        others.pop("warehouse.duckdb", None)
    if _us(used[0].ended) > until_us:
        others.pop("monitor.sqlite", None)  # it has counted what comes later
        for path in [path for path in others if path.startswith(_PROFILES)]:
            del others[path]  # they know what comes later; they are made anew from `events`
    files |= others
    files |= {file.path: file for file in used[0].files if file.path == _POSITIONS}
    return Plan(list(files.values()), None if base is None else found[base], used[-1])


def _holds_only(manifest: Manifest, until_us: int) -> bool:
    newest_us = manifest.warehouse_newest_us
    return newest_us is not None and newest_us <= until_us


def _check_reaches_back(found: list[Manifest]) -> None:
    """Without a warehouse that is old enough, ``events`` must go back to the first one."""
    begins: dict[int, int] = {}
    for manifest in found:
        for part, (begin, _) in manifest.positions.get(EVENTS, {}).items():
            begins[part] = min(begin, begins.get(part, begin))
    if any(begins.values()):
        known = [each.warehouse_newest_us for each in found if each.warehouse_newest_us is not None]
        earliest = f"the earliest is {_time(min(known))}" if known else "no time can be had"
        raise BackupError(
            "no backup has a warehouse from before that time, and the journal does not go back "
            f"to the first event any more: {earliest}"
        )


def _check_formats(used: list[Manifest]) -> None:
    for manifest in used:
        for store, version in manifest.formats.items():
            known = _FORMATS.get(store, 0)
            if version > known:
                raise FormatTooNew(f"{store} in backup {manifest.id}", version, known)


def _check_empty(data: Path) -> None:
    if data.exists() and any(entry.name != "restoring" for entry in data.iterdir()):
        raise BackupError(f"{data} is not empty: name a new folder with --data")


def _fetch(target: Target, plan: Plan, staging: Path, say: Callable[[str], None]) -> None:
    """Every file, compared with its checksum. Raises BackupError that names all bad ones."""
    bad: list[str] = []
    for file in plan.files:
        say(f"fetching {file.path} ({file.bytes / 1e6:,.1f} MB)")
        path = staging / file.path
        if not path.resolve().is_relative_to(staging.resolve()):
            raise BackupError(f"the manifest names a file outside the data folder: {file.path}")
        path.parent.mkdir(parents=True, exist_ok=True)
        if not target.get(stored_name(file.sha256), path):
            bad.append(f"{file.path} is missing")
        elif path.stat().st_size != file.bytes or digest(path) != file.sha256:
            bad.append(f"{file.path} is damaged")
    if bad:
        raise BackupError(
            f"{len(bad)} of {len(plan.files)} files can't be restored, so nothing was:\n  "
            + "\n  ".join(bad)
        )


def _aligned(staging: Path, plan: Plan, until_us: int | None) -> Restored:
    reach = rewind(staging / "journal", until_us)
    loaded = dict(plan.warehouse.warehouse) if plan.warehouse else {}
    events = reach.topics[EVENTS]
    for part, position in loaded.items():
        begin, end = events.get(part, (0, 0))
        if not begin <= position <= end:
            raise BackupError(
                f"the journal has events {begin} to {end} of partition {part}, and the warehouse "
                f"reads on at {position}: no backup has what lies between"
            )
    received = reach.topics[RECEIVED]
    for part, position in reach.processed.items():
        begin, _ = received.get(part, (position, position))
        if begin > position:
            raise BackupError(
                f"events {position} to {begin - 1} of received/{part} are needed to make that "
                "moment again, and no backup has them"
            )
    _set_positions(staging / _POSITIONS, reach, loaded)
    _check_monitor(staging / "monitor.sqlite", reach)
    return Restored(
        plan,
        loaded,
        sum(end - loaded.get(part, begin) for part, (begin, end) in events.items()),
        sum(end - reach.processed.get(part, begin) for part, (begin, end) in received.items()),
    )


def _set_positions(file: Path, reach: Reach, loaded: dict[int, int]) -> None:
    """No consumer stands beyond the journal's end, or where it does not read on.

    Those of process and warehouse are there even when they never told: retention waits for them.
    """
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS positions (consumer TEXT, topic TEXT, part INTEGER, "
            "next INTEGER NOT NULL, PRIMARY KEY (consumer, topic, part)) WITHOUT ROWID"
        )
        for topic, parts in reach.topics.items():
            for part, (_, end) in parts.items():
                connection.execute(
                    "UPDATE positions SET next = min(next, ?) WHERE topic = ? AND part = ?",
                    (end, topic, part),
                )
        told = [(PROCESS, RECEIVED, part, end) for part, end in reach.processed.items()]
        told += [(WAREHOUSE, EVENTS, part, loaded.get(part, 0)) for part in reach.topics[EVENTS]]
        connection.executemany("INSERT OR REPLACE INTO positions VALUES (?,?,?,?)", told)


def _check_monitor(file: Path, reach: Reach) -> None:
    """A monitor that has read what the journal lacks begins anew."""
    if not file.exists():
        return
    with closing(sqlite3.connect(file)) as connection:
        rows = connection.execute("SELECT topic, part, next FROM positions").fetchall()
    if any(at > reach.topics.get(topic, {}).get(part, (0, 0))[1] for topic, part, at in rows):
        log.warning("the monitor had read further than this; it counts again from the journal")
        remove_sqlite(file)


def _place(staging: Path, data: Path) -> None:
    """Put everything in its place, the journal last."""
    for path in staging.rglob("*"):
        if path.is_file():
            path.chmod(0o600)
    for entry in sorted(staging.iterdir(), key=lambda entry: entry.name == "journal"):
        entry.rename(data / entry.name)
    sync_folder(data)


def _us(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)


def _time(us: int) -> str:
    return datetime.fromtimestamp(us / 1_000_000, UTC).isoformat(timespec="milliseconds")
