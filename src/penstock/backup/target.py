"""Where backups go: a folder, or S3-compatible storage.

::

    penstock-backups/
        manifests/20261123T201500123Z.json     one for each backup
        files/ab/abcdef…                       a file by its SHA-256; many backups may share it

A file that is there under its name is complete.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from penstock.backup.copying import copy_bytes
from penstock.backup.manifest import Manifest, decode_manifest, encode_manifest, instant
from penstock.errors import BackupError
from penstock.journal.segment import sync_folder

__all__ = [
    "FolderTarget",
    "Target",
    "keep_newest",
    "manifests",
    "open_target",
    "stored_name",
    "write_manifest",
]

_MANIFESTS = "manifests/"
_FILES = "files/"
_INCOMING = "incoming"


class Target(Protocol):
    """A place for files under names with slashes. Every method may raise BackupError."""

    def put(self, name: str, file: Path) -> None:
        """Store a file; under its name only when complete. The file may be moved away."""

    def put_bytes(self, name: str, content: bytes) -> None:
        """Store a small file."""

    def get(self, name: str, file: Path) -> bool:
        """Fetch a file, durably; False when there is none of the name."""

    def get_bytes(self, name: str) -> bytes:
        """Fetch a small file."""

    def names(self, prefix: str) -> list[str]:
        """The names that begin with ``prefix``, ascending."""

    def remove(self, name: str) -> None:
        """Remove a file that may be there."""


def open_target(place: str, *, create: bool = False) -> Target:
    """The target that a person named: a folder, or ``s3://bucket/prefix``.

    Raises BackupError when there is none and it may not be made.
    """
    if place.startswith("s3://"):
        from penstock.backup.s3 import S3Target

        return S3Target(place)
    if "://" in place:
        raise BackupError(f"{place}: a target is a folder or s3://bucket/prefix")
    return FolderTarget(Path(place), create=create)


class FolderTarget:
    """A Target in a folder of this machine, or of a mounted one."""

    def __init__(self, folder: Path, *, create: bool) -> None:
        self._folder = folder
        if create:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.rmtree(folder / _INCOMING, ignore_errors=True)  # of a backup that was killed
        elif not folder.is_dir():
            raise BackupError(f"there is no folder {folder}")

    def put(self, name: str, file: Path) -> None:
        """Store a file; under its name only when complete. The file may be moved away."""
        draft = self._draft()
        try:
            try:
                file.rename(draft)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                copy_bytes(file, draft, file.stat().st_size)
            self._place(draft, name)
        finally:
            draft.unlink(missing_ok=True)

    def put_bytes(self, name: str, content: bytes) -> None:
        """Store a small file."""
        draft = self._draft()
        draft.write_bytes(content)
        self._place(draft, name)

    def _draft(self) -> Path:
        folder = self._folder / _INCOMING
        folder.mkdir(exist_ok=True)
        return folder / uuid4().hex

    def _place(self, draft: Path, name: str) -> None:
        place = self._folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        draft.chmod(0o600)
        draft.rename(place)
        sync_folder(place.parent)

    def get(self, name: str, file: Path) -> bool:
        """Fetch a file, durably; False when there is none of the name."""
        source = self._folder / name
        if not source.is_file():
            return False
        copy_bytes(source, file, source.stat().st_size)
        return True

    def get_bytes(self, name: str) -> bytes:
        """Fetch a small file."""
        return (self._folder / name).read_bytes()

    def names(self, prefix: str) -> list[str]:
        """The names that begin with ``prefix``, ascending."""
        found = (path for path in (self._folder / prefix).rglob("*") if path.is_file())
        return sorted(path.relative_to(self._folder).as_posix() for path in found)

    def remove(self, name: str) -> None:
        """Remove a file that may be there."""
        (self._folder / name).unlink(missing_ok=True)


def stored_name(sha256: str) -> str:
    """The name of a file at the target."""
    return f"{_FILES}{sha256[:2]}/{sha256}"


def write_manifest(target: Target, manifest: Manifest) -> None:
    """Make a backup known; all its files are there already."""
    target.put_bytes(f"{_MANIFESTS}{manifest.id}.json", encode_manifest(manifest))


def manifests(target: Target) -> list[Manifest]:
    """Every backup of a target, the oldest first."""
    return list(_manifests(target))


def _manifests(target: Target) -> Iterator[Manifest]:
    for name in target.names(_MANIFESTS):
        try:
            instant(Path(name).stem)
        except ValueError:
            continue  # somebody else's file
        yield decode_manifest(Path(name).stem, target.get_bytes(name))


def keep_newest(target: Target, count: int) -> tuple[list[str], int]:
    """Remove all but the newest backups; returns the ids removed and how many files went."""
    every = manifests(target)
    gone = every[:-count]
    for manifest in gone:
        target.remove(f"{_MANIFESTS}{manifest.id}.json")
    needed = {stored_name(file.sha256) for manifest in every[-count:] for file in manifest.files}
    unneeded = [name for name in target.names(_FILES) if name not in needed]
    for name in unneeded:
        target.remove(name)
    return [manifest.id for manifest in gone], len(unneeded)
