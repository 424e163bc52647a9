"""Events as files: JSON lines or Parquet, under names that follow from what they hold.

The same batch gets the same name, so a repeated write replaces the first rather than doubling it.
"""

from __future__ import annotations

import gzip
import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.destinations.contract import Batch, Call, Choice, Field, FileWrite, Setting, Steps

if TYPE_CHECKING:
    import pyarrow

__all__ = ["FIELDS", "SETTINGS", "batch_of", "writes"]

_FORMATS = (Choice("jsonl", "JSON lines"), Choice("parquet", "Parquet"))
_COMPRESSIONS = (Choice("gzip"), Choice("none"))
_PARTITIONS = (Choice("day"), Choice("hour"), Choice("none"))
_TIMES = frozenset({"timestamp", "originalTimestamp", "sentAt", "receivedAt"})
_EXACT = 2**53

SETTINGS = (
    Setting("format", "Format", default="jsonl", choices=_FORMATS),
    Setting(
        "compression",
        "Compression",
        help="Of JSON lines; Parquet is compressed in itself.",
        default="gzip",
        choices=_COMPRESSIONS,
    ),
    Setting(
        "partition",
        "Folders",
        help="A folder for each day or hour (UTC) in which events were received.",
        default="day",
        choices=_PARTITIONS,
    ),
)
"""What a user may choose about the files."""

FIELDS = (
    Field(
        "data",
        "Row",
        "object",
        help="One line or row. The whole event, unless you say otherwise.",
        default={"@path": "$."},
    ),
    Field(
        "received_at",
        "Received at",
        help="Decides the folder. The time at which the event was received.",
        default={"@path": "$.receivedAt"},
    ),
)
"""What a mapping fills in for each row."""


def batch_of(wait: float) -> Batch:
    """How rows are gathered: a file begins after ``wait`` seconds, 10,000 rows or 16 MB."""
    return Batch(10_000, bytes=16_000_000, wait=wait)


def writes(call: Call, store: str, options: Mapping[str, str] | None = None) -> Steps:
    """A file for each folder that the payloads belong to."""
    for folder, items in _by_folder(call).items():
        rows = [call.payloads[at].get("data") or {} for at in items]
        lines = b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
        suffix, body = _written(rows, lines, call.settings)
        name = folder + _name(call, items, lines) + suffix
        yield FileWrite(store, name, body, dict(options or {}), tuple(items))
    return None


def _by_folder(call: Call) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for at, payload in enumerate(call.payloads):
        received = _instant(payload.get("received_at")) or call.now
        found.setdefault(_folder(received, call.settings.get("partition")), []).append(at)
    return found


def _folder(received: datetime, partition: Any) -> str:
    if partition == "none":
        return ""
    hour = f"hour={received:%H}/" if partition == "hour" else ""
    return f"date={received:%Y-%m-%d}/{hour}"


def _name(call: Call, items: Sequence[int], lines: bytes) -> str:
    """From the ids of the events and from the rows, as two mappings may make rows of one event."""
    ids = [call.message_ids[at] for at in items] if call.message_ids else []
    return hashlib.sha256(msgspec.json.encode(ids) + lines).hexdigest()[:32]


def _written(
    rows: list[dict[str, Any]], lines: bytes, settings: Mapping[str, Any]
) -> tuple[str, bytes]:
    if settings.get("format") == "parquet":
        return ".parquet", _parquet(rows)
    if settings.get("compression") == "none":
        return ".jsonl", lines
    return ".jsonl.gz", gzip.compress(lines, 6, mtime=0)


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    """A column for each key of the rows, in the order in which they appear.

    Times of the event are timestamps, numbers are doubles, truth values are booleans, all else is
    text; objects and lists are JSON. So files of different days agree on their columns.
    """
    import pyarrow
    import pyarrow.parquet

    names = list(dict.fromkeys(key for row in rows for key in row))
    columns = {name: _column(name, [row.get(name) for row in rows]) for name in names}
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), buffer, compression="zstd")
    return buffer.getvalue()


def _column(name: str, values: list[Any]) -> pyarrow.Array:
    import pyarrow

    present = [value for value in values if value is not None]
    if name in _TIMES:
        times = [_instant(value) for value in values]
        if sum(time is not None for time in times) == len(present):
            return pyarrow.array(times, pyarrow.timestamp("us", tz="UTC"))
    if present and all(isinstance(value, bool) for value in present):
        return pyarrow.array(values, pyarrow.bool_())
    if present and all(map(_is_number, present)):
        return pyarrow.array(_each(float, values), pyarrow.float64())
    return pyarrow.array(_each(_text, values), pyarrow.string())


def _each(convert: Callable[[Any], Any], values: Iterable[Any]) -> Iterator[Any]:
    return (None if value is None else convert(value) for value in values)


def _is_number(value: Any) -> bool:
    """Whether it is a number that a double holds exactly."""
    if isinstance(value, bool):
        return False
    return isinstance(value, float) or (isinstance(value, int) and abs(value) <= _EXACT)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _instant(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
