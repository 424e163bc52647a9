"""Checks of the data folder: room, rights, formats, damage, and what a crash left."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from penstock.doctor.findings import NOTE, PROBLEM, Examined, Finding
from penstock.doctor.reading import newest_receipt_us, newest_segments, rows
from penstock.journal.segment import FORMAT_VERSION as JOURNAL_FORMAT
from penstock.monitor.store import FORMAT_VERSION as MONITOR_FORMAT
from penstock.profiles.stream.file import FORMAT_VERSION as PROFILES_FORMAT
from penstock.workspace.tables import FORMAT_VERSION as STATE_FORMAT

__all__ = [
    "check_clock",
    "check_damage",
    "check_disk",
    "check_failures",
    "check_formats",
    "check_leftovers",
    "check_rights",
]

_FEW_INODES = 1_000
_SLACK = timedelta(minutes=1)
_RECENT = timedelta(days=30)
_TORN = "write-ahead file fail"
_UPGRADE = "pip install --upgrade penstock"


def check_disk(place: Examined) -> Iterator[Finding]:
    """Bytes and inodes that are free."""
    settings = place.settings
    disk = os.statvfs(_there(settings.data))
    free = disk.f_bavail * disk.f_frsize
    make_room = (
        "make room, or shorten received_retention and events_retention; "
        f"`du -sh {settings.data}/*` shows what takes it"
    )
    if free < settings.min_free_disk:
        what = f"{free / 1e6:,.0f} MB are free on the disk, less than min_free_disk"
        yield Finding(PROBLEM, "disk", f"{what}: events are answered with 503", make_room)
    elif free < settings.warn_free_disk:
        what = f"the disk is filling up: {free / 1e6:,.0f} MB are free"
        yield Finding(NOTE, "disk", what, make_room)
    if disk.f_files and disk.f_favail < _FEW_INODES:
        yield Finding(
            PROBLEM,
            "disk",
            f"the file system has {disk.f_favail} inodes left: no files can be made",
            f"remove files; `df -i {settings.data}` shows the use",
        )


def check_rights(place: Examined) -> Iterator[Finding]:
    """Who may write the folder, and who may read its secrets."""
    settings = place.settings
    if not settings.data.is_dir():
        yield Finding(NOTE, "data folder", f"there is no {settings.data} yet", "penstock up")
        return
    for folder in (settings.data, settings.journal_folder):
        if folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK):
            yield Finding(
                PROBLEM,
                "permissions",
                f"this user can't write {folder}",
                f"chown -R $(id -un) {settings.data}",
            )
    private = [settings.state_file, settings.engine_file, *settings.run_folder.glob("*.token")]
    if settings.tls_key is not None:
        private.append(settings.tls_key)
    for file in private:
        if file.exists() and stat.S_IMODE(file.stat().st_mode) & 0o077:
            what = f"{file} holds secrets, and other users of this machine may open it"
            yield Finding(PROBLEM, "permissions", what, f"chmod 600 {file}")


def check_formats(place: Examined) -> Iterator[Finding]:
    """Stores that can't be read, or that another version wrote. The warehouse has its own check."""
    settings = place.settings
    query = "SELECT format_version FROM about"
    stores = [(settings.state_file, STATE_FORMAT), (settings.monitor_file, MONITOR_FORMAT)]
    profiles = sorted(settings.profiles_folder.glob("*.sqlite"))
    stores += [(path, PROFILES_FORMAT) for path in profiles]
    stores += [(path, JOURNAL_FORMAT) for _, _, path in newest_segments(settings.journal_folder)]
    for path, known in stores:
        if not path.exists():
            continue
        try:
            stored = int(rows(path, query)[0][0])
        except (sqlite3.Error, IndexError, TypeError, ValueError) as error:
            yield _unreadable(place, path, error)
            continue
        if stored > known:
            what = f"{path} was written by a newer Penstock (format {stored}, known is {known})"
            yield Finding(PROBLEM, "versions", what, _UPGRADE)
        elif stored < known:
            what = f"{path} has the older format {stored}"
            yield Finding(NOTE, "versions", what, "it is brought forward at the next start")


def _unreadable(place: Examined, path: Path, error: Exception) -> Finding:
    what = f"{path} can't be read: {error}"
    if path == place.settings.state_file:
        do = "stop Penstock and restore the file from a backup: `penstock restore --help`"
    elif path == place.settings.monitor_file:
        do = "restart Penstock: it sets the file aside and counts again from the journal"
    elif path.parent == place.settings.profiles_folder:
        do = (
            "stop Penstock and restore the file from a backup: `penstock restore --help`; or move "
            "it away: profiles are then made anew from the events that the journal still has, and "
            "tools are told of each membership again"
        )
    else:
        do = "restart Penstock: it mends the journal file, keeps the damaged one and reports both"
    return Finding(PROBLEM, "damage", what, do)


def check_damage(place: Examined) -> Iterator[Finding]:
    """Damage to the journal that was found and mended."""
    torn: list[int] = []
    lost: list[tuple[int, str]] = []
    for at, what in _reports(place.settings.journal_folder / "damage.jsonl"):
        if _TORN in what:
            torn.append(at)
        else:
            lost.append((at, what))
    if torn:
        times = "once" if len(torn) == 1 else f"{len(torn)} times, last"
        yield Finding(
            NOTE,
            "damage",
            f"a write to the journal was cut {times} on {_day(torn[-1])}, as by a kill or a power "
            "cut; nothing that was answered with 200 is in such a write unless the disk is bad",
            "nothing; copies of the cut files (*.torn-*) may be deleted",
        )
    if lost:
        recent = place.machine.now_us / 1e6 - lost[-1][0] < _RECENT.total_seconds()
        yield Finding(
            PROBLEM if recent else NOTE,
            "damage",
            f"the journal was damaged {len(lost)} times, last on {_day(lost[-1][0])}: "
            f"{lost[-1][1]}",
            "check the disk (`dmesg`, `smartctl -a`); what can't be read is listed by "
            "`penstock status`, and a backup may still hold it",
        )


def _reports(file: Path) -> list[tuple[int, str]]:
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            report = json.loads(line)
            found.append((int(report["at"]), f"{report['file']}: {report['what']}"))
        except (ValueError, KeyError, TypeError):
            continue
    return found


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def check_clock(place: Examined) -> Iterator[Finding]:
    """A clock behind what happened already."""
    settings = place.settings
    newest_us = newest_receipt_us(settings.journal_folder)
    known = [settings.state_file, settings.warehouse_file, Path(__file__)]
    written_us = max(int(p.stat().st_mtime * 1e6) for p in known if p.exists())
    latest_us = max(newest_us, written_us)
    if place.machine.now_us < latest_us - _SLACK / timedelta(microseconds=1):
        what = "the newest event was received" if newest_us == latest_us else "a file was written"
        yield Finding(
            PROBLEM,
            "clock",
            f"the clock says {_day(place.machine.now_us // 1_000_000)}, but {what} at "
            f"{_day(latest_us // 1_000_000)}: until then, times of receipt stand still",
            "set the clock: `timedatectl set-ntp true`",
        )


def check_failures(place: Examined) -> Iterator[Finding]:
    """Roles that could not run."""
    for file in sorted(place.settings.run_folder.glob("*.error")):
        role = file.stem
        reason = file.read_text(encoding="utf-8", errors="replace").strip()
        yield Finding(
            PROBLEM if place.running else NOTE,
            "roles",
            f"the role {role} {'fails' if place.running else 'failed last time'}: {reason}",
            "mend what it says; `penstock up` then starts the role again by itself",
        )


def check_leftovers(place: Examined) -> Iterator[Finding]:
    """What an engine that was killed left in the folder."""
    settings = place.settings
    left = [f.name for f in (settings.socket_file, settings.engine_file) if f.exists()]
    if place.holder == "nobody" and left:
        yield Finding(
            NOTE,
            "leftovers",
            f"an engine was killed here and left {' and '.join(left)} in {settings.run_folder}",
            "nothing: the next `penstock up` clears it, and goes on where the journal ends",
        )
    if place.holder == "command":
        what = "a command such as `penstock sql` has the data folder open just now"
        yield Finding(NOTE, "lock", what, "wait for it to end before starting Penstock")


def _there(folder: Path) -> Path:
    """The folder, or the nearest above it that exists."""
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return folder
