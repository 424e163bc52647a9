"""What is done about a journal file that a crash or a disk damaged.

Nothing is skipped in silence: what can't be read is set aside beside the file, reported in the
log and in ``damage.jsonl``, and the positions of the lost events are not given out again.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import struct
import time
from pathlib import Path

from penstock.errors import JournalDamaged
from penstock.journal.contract import Block, NewBlock
from penstock.journal.segment import Segment, create_segment, sync_folder

__all__ = ["cut_torn_wal", "damage_reports", "mend", "tail_is_sound"]

log = logging.getLogger("penstock.journal")
_TAIL_BLOCKS = 16


def tail_is_sound(path: Path) -> bool:
    """Whether the newest blocks of a segment can be read and match their checksums."""
    try:
        segment = Segment(path)
    except sqlite3.Error:
        return False
    try:
        segment.about()
        end = segment.end()
        if end > segment.first:
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


def mend(path: Path) -> int:
    """Replace a damaged segment by one that holds what can still be read of it.

    The damaged file stays beside it as ``.damaged-<time>``. Returns the position after the
    newest event that the damaged file claimed to hold.
    """
    blocks, producers, claimed, created_us = _readable(path)
    mended_folder = path.parent / "mending"
    mended_folder.mkdir(exist_ok=True)
    mended = create_segment(mended_folder, int(path.stem), created_us, producers)
    segment = Segment(mended)
    for block in blocks:
        segment.append(block.first, [_again(block)], block.created_us)
    kept_end = segment.end()
    segment.close()
    aside = path.with_suffix(f".damaged-{time.time_ns()}")
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        companion = path.with_name(path.name + suffix)
        if companion.exists():
            companion.rename(aside.with_name(aside.name + suffix))
    mended.rename(path)
    for leftover in mended_folder.iterdir():
        leftover.unlink()
    mended_folder.rmdir()
    sync_folder(path.parent)
    _report(path, f"damaged; kept {len(blocks)} blocks up to {kept_end}; original is {aside.name}")
    return max(claimed, kept_end)


def _readable(path: Path) -> tuple[list[Block], dict[str, int], int, int]:
    """(good blocks, producers, end the file claims, created_us) of a damaged segment."""
    blocks: list[Block] = []
    producers: dict[str, int] = {}
    position = claimed = int(path.stem)
    created_us = 0
    try:
        segment = Segment(path)
    except sqlite3.Error:
        return blocks, producers, claimed, created_us
    try:
        claimed = segment.end()
        producers = segment.producers()
        created_us = segment.about()[2]
    except JournalDamaged as damage:
        log.error("%s", damage)
    while True:
        try:
            for block in segment.read(position, 1 << 62):
                blocks.append(block)
                position = block.end
            break
        except JournalDamaged as damage:
            log.error("%s", damage)
        try:
            following = segment.starts_after(position)
        except JournalDamaged:
            break
        if following is None:
            break
        position = following
    segment.close()
    return blocks, producers, claimed, created_us


def _again(block: Block) -> NewBlock:
    return NewBlock(block.body, block.count, block.meta)


def cut_torn_wal(path: Path) -> str | None:
    """Report a write-ahead file whose newest frames fail their checksums.

    SQLite itself ends the file at the first such frame, without a word: it takes it for a write
    that a crash interrupted, which was never acknowledged. It may as well be damage to one that
    was, so the frames are kept in a copy, and the sentence returned goes to the log.
    """
    wal = path.with_name(path.name + "-wal")
    if not wal.exists() or wal.stat().st_size <= 32:
        return None
    data = wal.read_bytes()
    magic, _, page_size, _, salt1, salt2, sum1, sum2 = struct.unpack(">8I", data[:32])
    if magic not in (0x377F0682, 0x377F0683):
        return None
    order = ">" if magic & 1 else "<"
    frame = 24 + page_size
    good = 0
    state = (sum1, sum2)
    for offset in range(32, len(data) - frame + 1, frame):
        head = data[offset : offset + 24]
        if struct.unpack(">2I", head[8:16]) != (salt1, salt2):
            return None  # left over from before the last checkpoint
        state = _wal_checksum(order, head[:8], state)
        state = _wal_checksum(order, data[offset + 24 : offset + frame], state)
        if struct.unpack(">2I", head[16:24]) != state:
            aside = wal.with_name(f"{wal.name}.torn-{time.time_ns()}")
            aside.write_bytes(data)
            text = (
                f"tail fails its checksum after {good} good frames: a crash cut a write, or it "
                f"was damaged; cut there, a copy is {aside.name}"
            )
            _report(path, text)
            return f"{path}: {text}"
        good += 1
    return None


def _wal_checksum(order: str, data: bytes, state: tuple[int, int]) -> tuple[int, int]:
    s0, s1 = state
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for index in range(0, len(words), 2):
        s0 = (s0 + words[index] + s1) & 0xFFFFFFFF
        s1 = (s1 + words[index + 1] + s0) & 0xFFFFFFFF
    return s0, s1


def _report(path: Path, text: str) -> None:
    line = {"at": int(time.time()), "file": f"{path.parent.parent.name}/{path.parent.name}/"
            f"{path.name}", "what": text}  # fmt: skip
    with (path.parent.parent.parent / "damage.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def damage_reports(folder: Path) -> list[dict[str, object]]:
    """Every damage found so far in a journal folder: at (seconds since 1970), file, what."""
    file = folder / "damage.jsonl"
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
