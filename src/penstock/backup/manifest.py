"""What a backup says of itself: one small JSON file for each, beside the files of all."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import msgspec

from penstock.errors import BackupError, FormatTooNew

__all__ = ["FORMAT_VERSION", "Manifest", "StoredFile", "decode_manifest", "encode_manifest",
           "instant", "manifest_id"]  # fmt: skip

FORMAT_VERSION = 1
_ID = re.compile(r"\d{8}T\d{9}Z")


class StoredFile(msgspec.Struct, frozen=True):
    """One file of a data folder, as it was copied."""

    path: str
    """Inside the data folder, with slashes."""
    bytes: int
    sha256: str
    """In hexadecimal; also what the file is called at the target."""
    mark: str = ""
    """Of a closed journal segment: a later backup that finds the same mark need not read it."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One backup."""

    format_version: int = FORMAT_VERSION
    id: str
    """When it began, in UTC, so that ids sort by time."""
    ended: datetime
    """When the last file had been copied."""
    penstock: str
    """Version that made it."""
    formats: dict[str, int]
    """``format_version`` of each store in it."""
    files: list[StoredFile]
    warehouse: dict[int, int] = {}
    """Of each partition of ``events``, where the warehouse in it reads on."""
    warehouse_newest_us: int | None = None
    """Nothing in the warehouse was received later; None when the journal can't tell any more."""
    events: int = 0
    """Events that have rows in the warehouse."""
    positions: dict[str, dict[int, tuple[int, int]]] = {}
    """Of each topic and partition, the first event in it and the end."""

    @property
    def began(self) -> datetime:
        """When it began."""
        return instant(self.id)

    @property
    def bytes(self) -> int:
        """Size of all its files."""
        return sum(file.bytes for file in self.files)


def manifest_id(moment: datetime) -> str:
    """The id of a backup that begins now."""
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%S}{moment.microsecond // 1000:03d}Z"


def instant(name: str) -> datetime:
    """The moment that an id names. Raises ValueError for what is no id."""
    if not _ID.fullmatch(name):
        raise ValueError(name)
    return datetime.strptime(f"{name[:-4]}.{name[-4:-1]}+0000", "%Y%m%dT%H%M%S.%f%z")


def encode_manifest(manifest: Manifest) -> bytes:
    """JSON for people and programs."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2)


def decode_manifest(name: str, content: bytes) -> Manifest:
    """Read a manifest. Raises BackupError, or FormatTooNew."""
    try:
        version = msgspec.json.decode(content, type=_Head).format_version
        if version > FORMAT_VERSION:
            raise FormatTooNew(f"backup {name}", version, FORMAT_VERSION)
        return msgspec.json.decode(content, type=Manifest)
    except msgspec.MsgspecError as error:
        raise BackupError(f"the manifest {name} can't be read: {error}") from error


class _Head(msgspec.Struct):
    format_version: int
