"""What is done about a journal file that a crash or a disk damaged.

Nothing is skipped in silence: what can't be read is set aside beside the file, reported in the
log and in ``damage.jsonl``, and the positions of the lost events are not given out again.
"""

from __future__ import annotations

import json
import logging
import shutil
import sqlite3
import struct
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from urllib.parse import quote

from penstock.errors import JournalDamaged
from penstock.journal.contract import Block
from penstock.journal.segment import (
    COMPANIONS,
    Segment,
    companion,
    create_segment,
    segments_of,
    sync_folder,
)

__all__ = ["cut_torn_wal", "damage_reports", "finish_mending", "mend", "report", "tail_is_sound"]

log = logging.getLogger("penstock.journal")
_TAIL_BLOCKS = 16
_COPY_BLOCKS = 64
_MOST_COPIES = 20
_MOST_EVENTS = 1 << 40
"""No segment holds as many; a count that says so is damaged."""


def tail_is_sound(path: Path) -> bool:
    """Whether the newest blocks of a segment can be read and match their checksums."""
    try:
        segment = Segment(path)
    except JournalDamaged:
        return False
    try:
        segment.about()
        segment.producers()
        if segment.end() > segment.first:
            row = segment._one(
                "SELECT min(first) FROM (SELECT first FROM blocks ORDER BY first DESC LIMIT ?)",
                _TAIL_BLOCKS,
            )
            for _ in segment.read(row[0] if row else segment.first, 1 << 62):
                pass
    except JournalDamaged:
        return False
    finally:
        segment.close()
    return True


def mend(path: Path) -> None:
    """Replace a damaged segment by one that holds what can still be read of it.

    The damaged file stays beside it as ``.damaged-<time>``. When newer events than those were
    lost, an empty segment is begun after them. A crash on the way is made good by
    ``finish_mending``, or by mending again.
    """
    draft = _mending(path.parent) / "draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    claimed, created_us, producers = _claims(path)
    mended = Segment(create_segment(draft, int(path.stem), created_us, producers))
    kept = 0
    try:
        readable = _readable(path)
        while chunk := list(islice(readable, _COPY_BLOCKS)):
            mended.copy(chunk)
            kept += len(chunk)
        end = mended.end()
    finally:
        mended.close()
    if claimed > end:
        create_segment(path.parent, claimed, created_us, producers)
    mended.path.rename(draft.parent / path.name)
    sync_folder(draft.parent)
    aside = finish_mending(path.parent)
    lost = f"; positions {end} to {claimed} are lost" if claimed > end else ""
    report(path.parents[2], path, f"damaged; kept {kept} blocks{lost}; original is {aside}")


def finish_mending(folder: Path) -> str:
    """Put a complete mended segment in its place; returns the name of the damaged one.

    Called again after a crash, it does what was left to do.
    """
    aside = Path()
    for _, mended in segments_of(_mending(folder)):
        path = folder / mended.name
        aside = path.with_suffix(f".damaged-{time.time_ns()}")
        for suffix in ("", *COMPANIONS):
            if companion(path, suffix).exists():
                companion(path, suffix).rename(companion(aside, suffix))
        mended.rename(path)
        sync_folder(folder)
    shutil.rmtree(_mending(folder), ignore_errors=True)
    return aside.name


def _mending(folder: Path) -> Path:
    return folder / "mending"


def _claims(path: Path) -> tuple[int, int, dict[str, int]]:
    """(end, created_us, producers) that a damaged segment tells of, as far as it does.

    Producers that it can't tell any more are taken from the segment before.
    """
    claimed, created_us = int(path.stem), 0
    producers: dict[str, int] = {}
    earlier = [other for _, other in segments_of(path.parent) if other < path]
    for source in [*earlier[-1:], path]:
        try:
            segment = Segment(source)
        except JournalDamaged:
            continue
        try:
            producers = segment.producers()
            created_us = segment.last_created_us()
            if source == path and segment.end() - claimed < _MOST_EVENTS:
                claimed = segment.end()
        except JournalDamaged as damage:
            log.error("%s", str(damage))
        finally:
            segment.close()
    return claimed, created_us, producers


def _readable(path: Path) -> Iterator[Block]:
    """The good blocks of a damaged segment."""
    try:
        segment = Segment(path)
    except JournalDamaged:
        return
    position: int | None = int(path.stem)
    try:
        while position is not None:
            try:
                for block in segment.read(position, 1 << 62):
                    yield block
                    position = block.end
                return
            except JournalDamaged as damage:
                log.error("%s", str(damage))
            position = segment.starts_after(position)
    except JournalDamaged as damage:
        log.error("%s", str(damage))
    finally:
        segment.close()


def cut_torn_wal(path: Path) -> None:
    """Report a write-ahead file that holds commits which SQLite does not take.

    SQLite ends the file at the first frame that fails its checksum, without a word: it takes it
    for a write that a crash interrupted, which was never acknowledged. It may as well be damage
    to one that was, so the file is kept in a copy and reported.
    """
    wal = companion(path, "-wal")
    written = _committed_frames(wal)
    if not written:
        return
    try:
        connection = sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True)
    except sqlite3.Error:
        return
    try:
        taken = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1]
        if taken < written:
            aside = wal.with_name(f"{wal.name}.torn-{time.time_ns()}")
            shutil.copyfile(wal, aside)
            _drop_old_copies(path.parent)
            report(
                path.parents[2],
                path,
                f"frames {max(taken, 0)} to {written} of the write-ahead file fail their "
                f"checksums: a crash cut a write, or it was damaged; a copy is {aside.name}",
            )
    except sqlite3.Error as error:
        log.error("%s: %s", path, error)  # damage to the file itself, found and mended next
    finally:
        connection.close()


def _drop_old_copies(folder: Path) -> None:
    """Keep the newest copies of a partition's torn write-ahead files; each kill may leave one."""
    copies = sorted(folder.glob("*.torn-*"), key=lambda copy: copy.name.rpartition("-")[2])
    for copy in copies[:-_MOST_COPIES]:
        copy.unlink(missing_ok=True)


def _committed_frames(wal: Path) -> int:
    """How many frames, up to the last commit, a write-ahead file seems to hold.

    Frames from before the last checkpoint carry other salts. One damaged salt is forgiven, and a
    damaged header, so that damage to these does not look like such an older frame.
    """
    if not wal.exists() or (size := wal.stat().st_size) <= 32:
        return 0
    committed = 0
    with wal.open("rb") as file:
        header = file.read(32)
        magic, _, page_size, _, *salts = struct.unpack(">6I", header[:24])
        if _wal_checksum("big" if magic & 1 else "little", header[:24]) != header[24:]:
            page_size, salts = 4096, list(struct.unpack(">2I", file.read(16)[8:].ljust(8)))
        for number, offset in enumerate(range(32, size - 24 - page_size + 1, 24 + page_size), 1):
            file.seek(offset)
            _, commits, *found = struct.unpack(">4I", file.read(16))
            if commits and (found[0] == salts[0] or found[1] == salts[1]):
                committed = number
    return committed


def _wal_checksum(order: str, data: bytes) -> bytes:
    s0 = s1 = 0
    words = struct.unpack(f"{'>' if order == 'big' else '<'}{len(data) // 4}I", data)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        s0 = (s0 + even + s1) & 0xFFFFFFFF
        s1 = (s1 + odd + s0) & 0xFFFFFFFF
    return struct.pack(">2I", s0, s1)


def report(journal_folder: Path, path: Path, text: str) -> None:
    """Tell of damage to a file, in the log and in the journal's ``damage.jsonl``."""
    log.error("%s: %s", path, text)
    file = path.relative_to(journal_folder).as_posix()
    line = {"at": int(time.time()), "file": file, "what": text}
    with (journal_folder / "damage.jsonl").open("a", encoding="utf-8") as reports:
        reports.write(json.dumps(line) + "\n")


def damage_reports(folder: Path) -> list[dict[str, object]]:
    """Every damage found so far in a journal folder: at (seconds since 1970), file, what."""
    file = folder / "damage.jsonl"
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
