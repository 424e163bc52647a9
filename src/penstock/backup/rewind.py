"""Making a restored journal one moment again, and an earlier one if asked.

The topics of a backup were copied one after the other. ``events`` and ``counts`` are made from
ranges of ``received``: a range that ``counts`` tells of after one that ``events`` lacks is taken
out, and ``process`` reads it again.

Going back to a time, ``received`` and ``rejected`` are cut before the first event that arrived
later, and ``events`` before the first block that holds one. What was lost between is made again by
``process`` from ``received``, duplicates and all, as if nothing had come after.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import msgspec

from penstock.errors import BackupError
from penstock.events.model import Record, RejectedRecord
from penstock.journal.contract import COUNTS, EVENTS, RECEIVED, REJECTED, Block
from penstock.journal.segment import Segment, segments_of
from penstock.process.meta import EventsMeta, decode_events_meta

__all__ = ["Reach", "rewind"]

_FOREVER = 1 << 62
_encode = msgspec.msgpack.Encoder().encode
_decode_received = msgspec.msgpack.Decoder(list[Record]).decode
_decode_rejected = msgspec.msgpack.Decoder(list[RejectedRecord]).decode
Decode = Callable[[bytes], Sequence[Record] | Sequence[RejectedRecord]]


@dataclass
class Reach:
    """What a journal holds after ``rewind``."""

    topics: dict[str, dict[int, tuple[int, int]]] = field(default_factory=dict)
    """First event and end by topic and partition."""
    processed: dict[int, int] = field(default_factory=dict)
    """How far ``events`` and ``counts`` reach in each partition of ``received``."""


def rewind(journal: Path, until_us: int | None) -> Reach:
    """Bring the topics of a journal that nobody has open into line; see above."""
    received_ends: dict[int, int] = {}
    if until_us is not None:
        for number, folder in _partitions(journal / RECEIVED):
            received_ends[number] = _cut_records(folder, until_us, _decode_received)
        for _, folder in _partitions(journal / REJECTED):
            _cut_records(folder, until_us, _decode_rejected)
    processed: dict[int, int] = {}
    cut_created_us = _FOREVER
    for _, folder in _partitions(journal / EVENTS):
        created_us, ends = _cut_events(folder, until_us)
        cut_created_us = min(cut_created_us, created_us)
        processed.update({part: min(end, received_ends.get(part, end)) for part, end in ends})
        _set_producers(folder, processed)
    for _, folder in _partitions(journal / COUNTS):
        counted = _cut_counts(folder, processed, received_ends, cut_created_us)
        _set_producers(folder, counted)
        processed = {part: max(end, counted.get(part, 0)) for part, end in processed.items()}
        processed |= {part: end for part, end in counted.items() if part not in processed}
    topics = {
        topic: {number: _extent(folder) for number, folder in _partitions(journal / topic)}
        for topic in (RECEIVED, EVENTS, REJECTED, COUNTS)
    }
    return Reach(topics, processed)


def _partitions(topic: Path) -> list[tuple[int, Path]]:
    if not topic.is_dir():
        return []
    return sorted((int(path.name), path) for path in topic.iterdir() if path.name.isdigit())


def _extent(folder: Path) -> tuple[int, int]:
    """First event and end of a partition. Raises BackupError when there is a hole between."""
    segments = segments_of(folder)
    position = begin = segments[0][0] if segments else 0
    for first, path in segments:
        if first > position:
            raise BackupError(
                f"{folder.parent.name}/{folder.name} lacks events {position} to {first - 1}: no "
                "backup has them"
            )
        with _opened(path) as segment:
            position = max(segment.end(), position)
    return begin, position


@contextmanager
def _opened(path: Path) -> Iterator[Segment]:
    segment = Segment(path)
    try:
        yield segment
    finally:
        segment.close()


# Topics with records -------------------------------------------------------------------------


def _cut_records(folder: Path, until_us: int, decode: Decode) -> int:
    """Cut a partition before the first record received later; returns its end.

    Times never run backwards within a partition, so only the newest segments are read.
    """
    cut: Block | None = None
    for first, path in reversed(segments_of(folder)):
        with _opened(path) as segment:
            found = _first_later(segment, until_us, decode)
        cut = found or cut
        if found is None or found.first > first:
            break
    if cut is None:
        return _extent(folder)[1]
    kept = [record for record in decode(cut.body) if record.received_us <= until_us]
    _truncate(folder, cut.first)
    if kept:
        with _opened(segments_of(folder)[-1][1]) as segment:
            segment.copy([Block(cut.first, len(kept), cut.created_us, b"", _encode(kept))])
    return cut.first + len(kept)


def _first_later(segment: Segment, until_us: int, decode: Decode) -> Block | None:
    """The first block of a segment with a record received later."""
    for block in segment.read(segment.first, _FOREVER):
        if decode(block.body)[-1].received_us > until_us:
            return block
    return None


def _truncate(folder: Path, position: int) -> None:
    """Drop the blocks from a position on, which begins one."""
    segments = segments_of(folder)
    for first, path in segments[1:]:
        if first >= position:
            path.unlink()
    with _changing(segments_of(folder)[-1][1]) as connection:
        connection.execute("DELETE FROM blocks WHERE first >= ?", (position,))


@contextmanager
def _changing(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True)
    try:
        with connection:
            yield connection
    except sqlite3.Error as error:
        raise BackupError(f"{path}: {error}") from error
    finally:
        connection.close()


# Topics that process makes -------------------------------------------------------------------


def _metas(folder: Path) -> Iterator[tuple[int, int, EventsMeta]]:
    """(first, created_us, meta) of each block of a partition."""
    for _, path in segments_of(folder):
        with _changing(path) as connection:
            for first, created_us, meta in connection.execute(
                "SELECT first, created_us, meta FROM blocks ORDER BY first"
            ):
                try:
                    yield first, created_us, decode_events_meta(meta)
                except msgspec.MsgspecError as error:
                    raise BackupError(f"{path}: block at {first}: {error}") from error


def _cut_events(folder: Path, until_us: int | None) -> tuple[int, list[tuple[int, int]]]:
    """Cut ``events`` before the first block with something received later.

    Returns when that block was written, and how far in ``received`` the blocks before it reach.
    """
    ends = _producers(folder)
    if until_us is None:
        return _FOREVER, list(ends.items())
    kept: dict[int, int] = {}
    dropped: dict[int, int] = {}
    cut: tuple[int, int] | None = None
    for first, created_us, meta in _metas(folder):
        if cut is None and meta.newest_us > until_us:
            cut = first, created_us
        if cut is None:
            kept[meta.partition] = meta.end
        else:
            dropped.setdefault(meta.partition, meta.first)
    if cut is None:
        return _FOREVER, list(ends.items())
    _truncate(folder, cut[0])
    reached = {part: kept.get(part, dropped.get(part, end)) for part, end in ends.items()}
    return cut[1], list(reached.items())


def _cut_counts(
    folder: Path, events: dict[int, int], received: dict[int, int], before_us: int
) -> dict[int, int]:
    """Cut ``counts`` before the first range that follows one which ``events`` lacks."""
    chain = dict(events)
    ends = _producers(folder)
    kept: dict[int, int] = {}
    dropped: dict[int, int] = {}
    cut: int | None = None
    for first, created_us, meta in _metas(folder):
        part = meta.partition
        reaches = chain.get(part, 0)
        too_late = created_us >= before_us or meta.end > received.get(part, _FOREVER)
        if cut is None and (too_late or meta.first > reaches):
            cut = first
        if cut is None:
            chain[part] = max(reaches, meta.end)
            kept[part] = meta.end
        else:
            dropped.setdefault(part, meta.first)
    if cut is None:
        return ends
    _truncate(folder, cut)
    return {part: kept.get(part, dropped.get(part, end)) for part, end in ends.items()}


def _producers(folder: Path) -> dict[int, int]:
    """How far in ``received`` the newest segment says that its partition reaches."""
    segments = segments_of(folder)
    if not segments:
        return {}
    with _opened(segments[-1][1]) as segment:
        found = segment.producers().items()
    return {
        int(name.removeprefix("process/")): sequence
        for name, sequence in found
        if name.startswith("process/") and name.removeprefix("process/").isdigit()
    }


def _set_producers(folder: Path, ends: dict[int, int]) -> None:
    """Make the newest segment say how far its partition reaches."""
    segments = segments_of(folder)
    if not segments:
        return
    with _changing(segments[-1][1]) as connection:
        connection.execute("DELETE FROM producers WHERE producer LIKE 'process/%'")
        connection.executemany(
            "INSERT INTO producers VALUES (?,?)",
            [(f"process/{part}", end) for part, end in ends.items()],
        )
