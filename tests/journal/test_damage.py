"""What the embedded journal makes of damaged files, a full disk and a killed writer."""

from __future__ import annotations

import contextlib
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from penstock.errors import JournalDamaged, JournalUnwritable
from penstock.journal import Gap, NewBlock, SqliteJournal
from penstock.journal.salvage import _drop_old_copies, damage_reports
from penstock.journal.segment import Segment, create_segment, segment_name

DAY_US = 86_400_000_000
EVENTS = 10
"""In each block."""
ROOT = Path(__file__).parents[2]
"""Where a subprocess finds this module."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def journal(folder: Path) -> Iterator[SqliteJournal]:
    journal = SqliteJournal(folder)
    yield journal
    journal.close()


def body(number: int) -> bytes:
    """4 KB that don't compress, so that each block has pages of its own."""
    return number.to_bytes(4) + random.Random(number).randbytes(4096)


def block(number: int) -> NewBlock:
    return NewBlock(body(number), EVENTS, b"", "p", number)


def fill(folder: Path, blocks: int, *, clean: bool = True) -> Path:
    """Write blocks, as by a process that ended (or was killed: then the -wal file is left)."""
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from penstock.journal import SqliteJournal\n"
        "from tests.journal.test_damage import block\n"
        f"journal = SqliteJournal(Path({str(folder)!r}))\n"
        "writer = journal.writer('received', 0)\n"
        f"for number in range({blocks}):\n"
        "    writer.append([block(number)])\n"
        + ("writer.close(); journal.close()\n" if clean else "os._exit(0)\n")
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    return folder / "received" / "0" / segment_name(0)


def wal_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def seen(journal: SqliteJournal) -> tuple[list[int], list[Gap], int]:
    """(numbers of the good blocks, gaps, position after): everything a consumer finds."""
    numbers: list[int] = []
    gaps: list[Gap] = []
    position = 0
    while True:
        reading = journal.read("received", 0, position, 25)
        if reading.next == position:
            return numbers, gaps, position
        for found in reading.blocks:
            number = int.from_bytes(found.body[:4])
            assert found.body == body(number)
            numbers.append(number)
        gaps += reading.gaps
        position = reading.next


def asides(path: Path) -> list[Path]:
    return [
        other
        for other in path.parent.iterdir()
        if (".damaged-" in other.name or ".torn-" in other.name)
        and not other.name.endswith(("-wal", "-shm"))
    ]


def reopened(journal: SqliteJournal, number: int) -> int:
    """Open a writer after damage and write on; where the block went."""
    writer = journal.writer("received", 0)
    try:
        (first,) = writer.append([NewBlock(body(number), EVENTS)])
    finally:
        writer.close()
    assert first is not None
    return first


def test_a_flipped_byte_in_the_newest_block(journal: SqliteJournal, folder: Path) -> None:
    path = fill(folder, 20)
    data = bytearray(path.read_bytes())
    data[data.index(body(19)[:64]) + 100] ^= 1
    path.write_bytes(data)
    assert journal.read("received", 0, 0, 1000).next == 190
    with pytest.raises(JournalDamaged):
        journal.read("received", 0, 190, 1000)
    for _ in range(2):
        journal.writer("received", 0).close()
        assert seen(journal) == (list(range(19)), [Gap(190, 200, "damaged")], 200)
    assert reopened(journal, 77) == 200
    assert seen(journal) == ([*range(19), 77], [Gap(190, 200, "damaged")], 210)
    assert [aside.read_bytes() for aside in asides(path)] == [bytes(data)]
    assert "kept 19 blocks; positions 190 to 200 are lost" in str(damage_reports(folder))


def test_a_flipped_byte_in_the_number_of_events_is_found(
    journal: SqliteJournal, folder: Path
) -> None:
    path = fill(folder, 3)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE blocks SET count = 11 WHERE first = 20")
    connection.commit()
    connection.close()
    assert reopened(journal, 77) == 31
    assert seen(journal) == ([0, 1, 77], [Gap(20, 31, "damaged")], 41)


@pytest.mark.parametrize("consumed", [0, 150, 200])
def test_a_truncated_file(journal: SqliteJournal, folder: Path, consumed: int) -> None:
    path = fill(folder, 20)
    if consumed:
        journal.commit("c", "received", 0, consumed)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    first = reopened(journal, 77)
    numbers, gaps, after = seen(journal)
    assert first >= consumed
    assert numbers[-1] == 77
    assert numbers[:-1] == sorted(set(numbers[:-1]))
    assert after == first + EVENTS == EVENTS * len(numbers) + sum(g.end - g.first for g in gaps)
    assert asides(path)
    assert damage_reports(folder)


@pytest.mark.parametrize("page", range(1, 40, 3))
def test_a_corrupt_page(journal: SqliteJournal, folder: Path, page: int) -> None:
    path = fill(folder, 20)
    data = bytearray(path.read_bytes())
    data[page * 4096 : page * 4096 + 4096] = random.Random(page).randbytes(4096)
    path.write_bytes(data)
    journal.commit("c", "received", 0, 200)
    assert reopened(journal, 77) >= 200
    numbers, gaps, after = seen(journal)
    assert numbers[-1] == 77
    assert numbers[:-1] == sorted(set(numbers[:-1]))
    assert after == EVENTS * len(numbers) + sum(gap.end - gap.first for gap in gaps)
    if len(numbers) < 21:
        assert gaps
    assert reopened(journal, 78) == after


@pytest.mark.parametrize("seed", range(40))
def test_any_damage_is_told(folder: Path, seed: int, tmp_path: Path) -> None:
    """Random bytes anywhere, in the file or in the write-ahead file of a killed writer."""
    chance = random.Random(seed)
    path = filled_once(tmp_path.parent, clean=bool(seed % 2))
    copy_to(path.parent, folder / "received" / "0")
    path = folder / "received" / "0" / path.name
    victim = path if seed % 2 else wal_of(path)
    data = bytearray(victim.read_bytes())
    at = chance.randrange(len(data))
    data[at : at + chance.choice((1, 4, 300))] = chance.randbytes(chance.choice((1, 4, 300)))
    victim.write_bytes(data)
    journal = SqliteJournal(folder)
    journal.commit("c", "received", 0, 200)
    with contextlib.suppress(JournalDamaged):
        seen(journal)  # a reader may come first
    assert reopened(journal, 77) >= 200
    numbers, gaps, after = seen(journal)
    assert numbers[:-1] == sorted(set(numbers[:-1]))
    assert numbers[-1] == 77
    assert after == EVENTS * len(numbers) + sum(gap.end - gap.first for gap in gaps)
    if numbers != [*range(20), 77]:
        assert gaps
    journal.close()


def filled_once(folder: Path, *, clean: bool) -> Path:
    made = folder / f"filled-{clean}"
    path = made / "received" / "0" / segment_name(0)
    return path if made.exists() else fill(made, 20, clean=clean)


def copy_to(source: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for path in source.iterdir():
        if not path.name.endswith("-shm"):
            (target / path.name).write_bytes(path.read_bytes())


def test_garbage_after_the_write_ahead_file_loses_nothing(
    journal: SqliteJournal, folder: Path
) -> None:
    path = fill(folder, 20, clean=False)
    with wal_of(path).open("ab") as wal:
        wal.write(random.Random(1).randbytes(10_000))
    assert reopened(journal, 77) == 200
    assert seen(journal) == ([*range(20), 77], [], 210)
    assert damage_reports(folder) == []


@pytest.mark.parametrize(("frames_back", "at"), [(0, 500), (1, 20), (3, 12), (5, 8)])
def test_damage_in_the_write_ahead_file_is_reported(
    journal: SqliteJournal, folder: Path, frames_back: int, at: int
) -> None:
    path = fill(folder, 20, clean=False)
    wal = wal_of(path)
    data = bytearray(wal.read_bytes())
    frame = 24 + 4096
    data[len(data) - (frames_back + 1) * frame + at] ^= 0xFF
    wal.write_bytes(data)
    journal.commit("c", "received", 0, 200)
    assert reopened(journal, 77) == 200
    numbers, gaps, after = seen(journal)
    assert (numbers[-1], after) == (77, 210)
    assert len(gaps) == 1
    assert "write-ahead" in str(damage_reports(folder))
    assert [aside.read_bytes() for aside in asides(path)] == [bytes(data)]


def test_a_large_write_ahead_file_is_looked_through_in_no_time(
    journal: SqliteJournal, folder: Path
) -> None:
    path = create_segment_in(folder)
    code = (
        "import os, sqlite3\n"
        f"db = sqlite3.connect({str(path)!r}, isolation_level=None)\n"
        "db.execute('PRAGMA wal_autocheckpoint=0')\n"
        "db.execute('CREATE TABLE waste (data BLOB)')\n"
        "for _ in range(16):\n"
        "    db.execute('INSERT INTO waste VALUES (randomblob(2000000))')\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    assert wal_of(path).stat().st_size > 32_000_000
    began = time.process_time()
    journal.writer("received", 0).close()
    assert time.process_time() - began < 5  # it took 4 s for each 8 MB once
    assert damage_reports(folder) == []


def create_segment_in(folder: Path) -> Path:
    (folder / "received" / "0").mkdir(parents=True)
    return create_segment(folder / "received" / "0", 0, 1, {})


def test_a_file_of_no_bytes(journal: SqliteJournal, folder: Path) -> None:
    path = fill(folder, 20)
    journal.commit("c", "received", 0, 130)
    path.write_bytes(b"")
    with pytest.raises(JournalDamaged):
        journal.read("received", 0, 0, 100)
    assert reopened(journal, 77) == 130
    assert seen(journal) == ([77], [Gap(0, 130, "damaged")], 140)
    assert len(asides(path)) == 1


def test_no_file_is_left(journal: SqliteJournal, folder: Path) -> None:
    fill(folder, 20).unlink()
    journal.commit("c", "received", 0, 130)
    journal.writer("received", 0).close()
    journal.commit("c", "received", 0, 0)  # known without the consumer from now on
    assert reopened(journal, 77) == 130
    assert "0 to 130 are lost" in str(damage_reports(folder))


def test_producers_of_a_lost_file_come_from_the_one_before(folder: Path) -> None:
    now = 20_000 * DAY_US
    journal = SqliteJournal(folder, clock=lambda: now)
    writer = journal.writer("received", 0)
    writer.append([block(5)])
    now += DAY_US
    writer.append([NewBlock(body(6), EVENTS)])
    writer.close()
    (folder / "received" / "0" / segment_name(EVENTS)).write_bytes(b"")
    writer = journal.writer("received", 0)
    assert writer.last_sequence("p") == 5
    writer.close()
    journal.close()


def test_leftovers_of_a_segment_that_was_being_made(journal: SqliteJournal, folder: Path) -> None:
    path = fill(folder, 3)
    for name in (path.with_suffix(".new"), path.with_suffix(".new-wal"), path.parent / "x.new"):
        name.write_bytes(b"half a file")
    now = time.time_ns() // 1000 + 2 * DAY_US
    late = SqliteJournal(folder, clock=lambda: now)
    assert reopened(late, 77) == 30
    late.close()
    assert not list(path.parent.glob("*.new*"))
    assert seen(journal) == ([0, 1, 2, 77], [], 40)


@pytest.mark.parametrize("crash_before", range(1, 6))
def test_a_crash_while_mending(
    journal: SqliteJournal, folder: Path, crash_before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fill(folder, 20, clean=False)
    with path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"x" * 4096)
    wal_of(path).unlink()
    journal.commit("c", "received", 0, 200)
    rename = Path.rename
    calls = 0

    def failing(self: Path, target: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls == crash_before:
            raise OSError("crash")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    try:
        first = reopened(journal, 77)
    except JournalUnwritable:
        monkeypatch.undo()
        first = reopened(journal, 77)
    assert first >= 200
    numbers, gaps, after = seen(journal)
    assert numbers[-1] == 77
    assert after == EVENTS * len(numbers) + sum(gap.end - gap.first for gap in gaps)
    assert asides(path)
    assert not (path.parent / "mending").exists()


def test_lost_positions_of_consumers_begin_anew(folder: Path) -> None:
    folder.mkdir()
    (folder / "positions.sqlite").write_bytes(b"not a database" * 1000)
    journal = SqliteJournal(folder)
    journal.commit("c", "received", 0, 4)
    assert journal.position("c", "received", 0) == 4
    journal.close()
    assert "positions.sqlite" in str(damage_reports(folder))
    assert list(folder.glob("positions.damaged-*"))


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file can grow beyond a size: what a full disk is to SQLite, without being root."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


@pytest.mark.parametrize("blocks_before", [0, 1, 30])
@pytest.mark.parametrize("room", [1, 20_000, 60_000])
def test_a_full_disk(journal: SqliteJournal, folder: Path, blocks_before: int, room: int) -> None:
    reader = SqliteJournal(folder)
    writer = journal.writer("received", 0)
    for number in range(blocks_before):
        writer.append([block(number)])
    assert seen(reader)[2] == blocks_before * EVENTS
    failed = written = 0
    with largest_file(room):
        for number in range(blocks_before, blocks_before + 30):
            try:
                writer.append([block(number), block(1000 + number)][:1])
                written = number + 1 - blocks_before
            except JournalUnwritable:
                failed += 1
                assert writer.last_sequence("p") in (number - failed, None)
                break
        for _ in range(3):
            with pytest.raises(JournalUnwritable):
                writer.append([NewBlock(random.Random(0).randbytes(200_000), 1)])
    assert failed
    total = blocks_before + written
    assert seen(reader) == (list(range(total)), [], total * EVENTS)
    assert writer.append([block(total)]) == [total * EVENTS]
    assert writer.append([block(total + 1)]) == [(total + 1) * EVENTS]
    none: list[Gap] = []
    expected = (list(range(total + 2)), none, (total + 2) * EVENTS)
    assert seen(reader) == expected
    writer.close()
    assert seen(journal) == expected
    reader.close()
    again = journal.writer("received", 0)
    assert again.append([block(total + 1)]) == [None]
    again.close()
    assert seen(journal) == expected
    assert damage_reports(folder) == []


def test_what_a_failed_write_left_in_an_old_segment_is_not_read(
    journal: SqliteJournal, folder: Path
) -> None:
    """A failed write may come to light in its file when SQLite recovers that later."""
    writer = journal.writer("received", 0)
    writer.append([block(0)])
    with largest_file(1), pytest.raises(JournalUnwritable):
        writer.append([block(1)])
    writer.append([block(2)])
    writer.close()
    remains = Segment(folder / "received" / "0" / segment_name(0))
    remains.append(EVENTS, [NewBlock(body(1), EVENTS * 5)], 1)
    remains.close()
    assert seen(journal) == ([0, 2], [], 2 * EVENTS)


def test_no_room_for_consumer_positions(journal: SqliteJournal) -> None:
    with largest_file(1), pytest.raises(JournalUnwritable):
        for number in range(100):
            journal.commit("c", "received", 0, number)
    journal.commit("c", "received", 0, 5)
    assert journal.position("c", "received", 0) == 5


def test_a_segment_dropped_while_it_is_looked_for(folder: Path) -> None:
    folder.mkdir()
    path = folder / segment_name(0)
    with pytest.raises(Exception, match="unable to open"):
        Segment(path)
    assert not path.exists()


def test_open_files_do_not_grow(folder: Path) -> None:
    journal = SqliteJournal(folder, segment_bytes=1)
    writer = journal.writer("received", 0)
    for number in range(30):
        writer.append([block(number)])

    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    seen(journal)
    before = descriptors()
    for _ in range(3):
        seen(journal)
        journal.read("received", 0, 0, 1 << 30)
    assert descriptors() <= before
    writer.close()
    journal.close()


def kill_while_it_writes(folder: Path, wait_s: float, from_number: int) -> list[int]:
    """The numbers of the blocks that a writer had acknowledged when it was killed."""
    code = (
        "from pathlib import Path\n"
        "from penstock.journal import SqliteJournal\n"
        "from tests.journal.test_damage import block\n"
        f"journal = SqliteJournal(Path({str(folder)!r}), segment_bytes=200_000)\n"
        "writer = journal.writer('received', 0)\n"
        f"number = {from_number}\n"
        "print('begin', flush=True)\n"
        "while True:\n"
        "    if writer.append([block(number)]) != [None]:\n"
        "        print(number, flush=True)\n"
        "    number += 1\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "begin\n"
        time.sleep(wait_s)
        process.kill()
        return [int(line) for line in process.stdout.read().split("\n")[:-1]]


def test_whatever_was_acknowledged_survives_a_kill(journal: SqliteJournal, folder: Path) -> None:
    chance = random.Random(4)
    acknowledged: list[int] = []
    for _ in range(15):
        beginning = acknowledged[-1] + 1 if acknowledged else 0
        acknowledged += kill_while_it_writes(folder, chance.uniform(0, 0.2), beginning)
    numbers, gaps, after = seen(journal)
    assert numbers == list(range(len(numbers)))  # each once, in order, nothing between
    assert set(acknowledged) <= set(numbers)
    assert gaps == []
    assert after == EVENTS * len(numbers)
    assert damage_reports(folder) == []


def test_only_the_newest_copies_of_torn_files_are_kept(tmp_path: Path) -> None:
    for number in range(100, 130):
        (tmp_path / f"{number % 7}.sqlite-wal.torn-{number}").touch()
    _drop_old_copies(tmp_path)
    left = sorted(int(path.name.rpartition("-")[2]) for path in tmp_path.iterdir())
    assert left == list(range(110, 130))
