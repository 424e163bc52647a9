"""What was refused, newest first, with the bytes as they came."""

from __future__ import annotations

import base64
import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from penstock.errors import JournalDamaged
from penstock.events.model import RejectedRecord
from penstock.journal.contract import REJECTED, Journal
from penstock.monitor.names import name_of_refused

__all__ = ["Refused", "RejectedPage", "list_rejected", "message_id_of", "original_of"]

_WINDOW = 500
_MOST_LOOKED_AT = 200_000
_decode = msgspec.msgpack.Decoder(list[RejectedRecord]).decode


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """One event, or request, that was refused."""

    id: str
    """By which ``original_of`` finds it."""
    received_at: datetime
    source: str
    """Slug, or empty when the write key is unknown."""
    code: str
    reason: str
    path: str
    """Request path."""
    event: str
    """Name of the event, ``$`` and the call, or ``$unknown``."""
    message_id: str | None
    original: str
    """Text, or base64 when it is not UTF-8."""
    encoding: str
    """``text`` or ``base64``."""
    size: int
    """Bytes of the original."""


@dataclass(frozen=True)
class RejectedPage:
    """A part of the list."""

    items: list[Refused]
    before: str | None
    """To be given for the next, older part; None when there is none."""


def list_rejected(
    journal: Journal,
    *,
    source: str | None = None,
    code: str | None = None,
    limit: int = 100,
    before: str | None = None,
) -> RejectedPage:
    """What was refused, newest first; of one source (``""``: unknown write key), of one code.

    A page may hold fewer than ``limit`` and still not be the last: it ends, too, when very many
    others had to be looked at. Raises ValueError for a ``before`` that is none.
    """
    ends = _ends(journal, before)
    newest = heapq.merge(
        *(_backwards(journal, part, end) for part, end in ends.items()),
        key=lambda found: -found[2].received_us,
    )
    items: list[Refused] = []
    for looked_at, (part, position, record) in enumerate(newest):
        if len(items) >= limit or looked_at >= _MOST_LOOKED_AT:
            return RejectedPage(items, _cursor(ends))
        ends[part] = position
        if source in (None, record.source) and code in (None, record.code):
            items.append(_refused(part, position, record))
    return RejectedPage(items, None)


def original_of(journal: Journal, entry: str) -> bytes | None:
    """The original bytes of an entry by its id; None when it is not there (any more)."""
    part, _, position = entry.partition("-")
    if not (part.isdecimal() and position.isdecimal()):
        return None
    for found, record in _span(journal, int(part), int(position), int(position) + 1):
        if found == int(position):
            return record.original
    return None


def message_id_of(original: bytes) -> str | None:
    """The messageId in what was refused, if it can be read."""
    try:
        found = _decode_id(original).message_id
    except (msgspec.DecodeError, RecursionError):
        return None
    return found if isinstance(found, str) else None


class _Id(msgspec.Struct, rename="camel", gc=False):
    message_id: Any = None


_decode_id = msgspec.json.Decoder(_Id).decode


def _ends(journal: Journal, before: str | None) -> dict[int, int]:
    """Where to begin in each partition, reading backwards."""
    if before is None:
        return {part: journal.end(REJECTED, part) for part in journal.partitions(REJECTED)}
    try:
        pairs = [pair.split("-") for pair in before.split("_")]
        return {int(part): int(end) for part, end in pairs}
    except ValueError:
        raise ValueError("before: give what a page says in `before`") from None


def _cursor(ends: dict[int, int]) -> str:
    return "_".join(f"{part}-{end}" for part, end in ends.items())


def _backwards(journal: Journal, part: int, end: int) -> Iterator[tuple[int, int, RejectedRecord]]:
    """(partition, position, record) before a position, the newest first."""
    start = journal.start(REJECTED, part)
    while end > start:
        first = max(end - _WINDOW, start)
        for position, record in reversed(_span(journal, part, first, end)):
            yield part, position, record
        end = first


def _span(journal: Journal, part: int, first: int, end: int) -> list[tuple[int, RejectedRecord]]:
    """What can be read of a range of positions."""
    try:
        blocks = journal.read(REJECTED, part, first, end - first).blocks
    except JournalDamaged:
        return []
    found = []
    for block in blocks:
        try:
            records = _decode(block.body)
        except msgspec.MsgspecError:
            continue
        found += [
            (position, record)
            for position, record in enumerate(records, block.first)
            if first <= position < end
        ]
    return found


def _refused(part: int, position: int, record: RejectedRecord) -> Refused:
    try:
        original, encoding = record.original.decode(), "text"
    except UnicodeDecodeError:
        original, encoding = base64.b64encode(record.original).decode(), "base64"
    return Refused(
        id=f"{part}-{position}",
        received_at=datetime.fromtimestamp(record.received_us / 1_000_000, UTC),
        source=record.source,
        code=record.code,
        reason=record.reason,
        path=record.path,
        event=name_of_refused(record.original, record.path),
        message_id=message_id_of(record.original),
        original=original,
        encoding=encoding,
        size=len(record.original),
    )
