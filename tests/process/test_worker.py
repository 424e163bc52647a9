"""The step from ``received`` to ``events``: each event once, in order, whatever crashes."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from penstock.errors import JournalUnwritable
from penstock.events.model import Record, RejectedRecord
from penstock.journal import NewBlock, SqliteJournal, Writer
from penstock.journal.contract import EVENTS, RECEIVED, REJECTED
from penstock.journal.segment import segment_name
from penstock.process import worker as worker_module
from penstock.process.dedupe import DedupeIndex, Keyed
from penstock.process.meta import EventsMeta
from penstock.process.worker import (
    CONSUMER,
    REJECTED_PARTITION,
    ProcessWorker,
    decode_records,
)

START = 1_767_000_000_000_000
HOUR_US = 3_600_000_000
encode = msgspec.msgpack.encode


class Crash(Exception):
    """Stands for the end of the process."""


class Installation:
    """A data folder, and what is opened on it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.now_us = START
        self.open()

    def open(self, window: timedelta = timedelta(hours=24)) -> None:
        self.journal = SqliteJournal(self.data / "journal", clock=lambda: self.now_us)
        self.index = DedupeIndex(self.data / "dedupe", window)

    def close(self) -> None:
        self.index.close()
        self.journal.close()

    def worker(self) -> ProcessWorker:
        return ProcessWorker(self.journal, self.index, clock=lambda: self.now_us)

    def run(self) -> ProcessWorker:
        """Process everything that waits."""
        worker = self.worker()
        drain(worker)
        worker.close()
        return worker

    def receive(self, partition: int, *blocks: list[str], source: str = "s") -> None:
        """Append to ``received``; a record for each messageId, a microsecond apart."""
        writer = self.journal.writer(RECEIVED, partition)
        for names in blocks:
            records = []
            for name in names:
                self.now_us += 1
                records.append(Record(source, name, self.now_us, f"{partition} {name}".encode()))
            writer.append([NewBlock(encode(records), len(records))])
        writer.close()

    def events(self) -> list[str]:
        """The messageIds in ``events``, checking that each block says where it is from."""
        reading = self.journal.read(EVENTS, 0, 0, 1 << 30)
        names: list[str] = []
        reached: dict[int, int] = {}
        newest = 0
        for block in reading.blocks:
            meta = msgspec.json.decode(block.meta, type=EventsMeta)
            records = decode_records(block.body)
            assert len(records) == block.count
            assert reached.get(meta.partition, 0) <= meta.first < meta.end
            assert meta.newest_us == max(newest, *(one.received_us for one in records), newest)
            newest = meta.newest_us
            reached[meta.partition] = meta.end
            assert all(one.payload.startswith(f"{meta.partition} ".encode()) for one in records)
            names += [one.message_id for one in records]
        return names

    def rejected(self) -> list[RejectedRecord]:
        reading = self.journal.read(REJECTED, REJECTED_PARTITION, 0, 1 << 30)
        return [
            one
            for block in reading.blocks
            for one in msgspec.msgpack.decode(block.body, type=list[RejectedRecord])
        ]


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Installation]:
    here = Installation(tmp_path)
    yield here
    here.close()


def drain(worker: ProcessWorker) -> None:
    while worker.step():
        pass


def test_each_event_once_in_order(here: Installation) -> None:
    here.receive(0, ["a", "b", "a"], ["c", "b"])
    here.receive(1, ["d", "a"])
    worker = here.run()
    assert here.events() == ["a", "b", "c", "d"]
    assert (worker.processed, worker.duplicates) == (7, 3)
    here.receive(0, ["a", "e"])
    here.receive(0, ["f"], source="other")
    here.run()
    assert here.events() == ["a", "b", "c", "d", "e", "f"]


def test_the_position_is_told_with_each_step(here: Installation) -> None:
    here.receive(0, ["a", "b"])
    worker = here.worker()
    drain(worker)
    assert here.journal.position(CONSUMER, RECEIVED, 0) == 2
    here.receive(0, ["a"])
    worker.step()
    assert here.journal.position(CONSUMER, RECEIVED, 0) == 3
    worker.close()


class Faulty:
    """Stands before an object and crashes before or after the n-th call of a method."""

    def __init__(self, inner: Any, method: str, nth: int, when: str) -> None:
        self.inner, self.method, self.nth, self.when = inner, method, nth, when

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        if name != self.method:
            return found

        def call(*arguments: Any) -> Any:
            self.nth -= 1
            if self.nth == 0 and self.when == "before":
                raise Crash
            result = found(*arguments)
            if self.nth == 0:
                raise Crash
            return result

        return call


class FaultyWriterJournal:
    """A journal whose writer of ``events`` is faulty."""

    def __init__(self, inner: SqliteJournal, nth: int, when: str) -> None:
        self.inner, self.nth, self.when = inner, nth, when
        self.opened: list[Writer] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def writer(self, topic: str, partition: int) -> Any:
        writer = self.inner.writer(topic, partition)
        self.opened.append(writer)
        return Faulty(writer, "append", self.nth, self.when) if topic == EVENTS else writer


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("what", ["read", "fresh", "append", "add", "forget", "commit"])
@pytest.mark.parametrize("nth", [1, 2, 3, 5])
def test_a_crash_between_any_two_steps(
    here: Installation, when: str, what: str, nth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "_CHUNK", 3)
    chance = random.Random(nth)
    expected: dict[int, list[str]] = {}
    known: set[str] = set()
    for partition in range(2):
        names = [f"{chance.choice('ab')}{chance.randrange(12)}" for _ in range(30)]
        here.receive(partition, *(names[at : at + 2] for at in range(0, 30, 2)))
        expected[partition] = names
        known |= set(names)
    journal: Any = here.journal
    index: Any = here.index
    if what == "append":
        journal = FaultyWriterJournal(here.journal, nth, when)
    elif what in ("read", "commit"):
        journal = Faulty(here.journal, what, nth, when)
    else:
        index = Faulty(here.index, what, nth, when)
    worker = None
    with pytest.raises(Crash):
        worker = ProcessWorker(journal, index)
        for _ in range(10):
            worker.step()
    if worker is not None:
        worker._writer.close()  # as the end of a process does
        worker._counts_writer.close()
    here.close()
    here.open()
    here.run()
    events = here.events()
    assert sorted(events) == sorted(known)
    for partition, names in expected.items():
        from_here = [name for name in events if name in names]
        assert set(names) <= set(from_here), partition


def test_an_index_that_lost_its_newest_writes_is_completed(here: Installation) -> None:
    """A crash may take what RocksDB had not written to disk."""
    here.receive(0, ["a", "b"])
    here.run()
    here.close()
    shutil.copytree(here.data / "dedupe", here.data / "older")
    here.open()
    here.receive(0, ["c", "d"])
    here.run()
    here.close()
    shutil.rmtree(here.data / "dedupe")
    (here.data / "older").rename(here.data / "dedupe")
    here.open()
    assert here.index.position() == 2
    here.receive(0, ["a", "d", "c", "b", "e"])
    here.run()
    assert here.events() == ["a", "b", "c", "d", "e"]


class CountingIndex(DedupeIndex):
    added = 0

    def add(self, fresh: Keyed, position: int) -> None:
        self.added += len(fresh.keys)
        super().add(fresh, position)


@pytest.mark.parametrize("backlog", [False, True])
def test_a_deleted_index_is_rebuilt_from_the_window_alone(
    here: Installation, backlog: bool
) -> None:
    worker = here.worker()
    for hour in range(100):
        here.receive(0, [f"m{hour}"])
        worker.step()
        here.now_us += HOUR_US
    worker.close()
    if backlog:  # what was received 40 hours ago is still to come
        here.now_us -= 40 * HOUR_US
        here.receive(1, ["m37", "m50", "late"])
        here.now_us += 40 * HOUR_US
    here.close()
    shutil.rmtree(here.data / "dedupe")
    here.journal = SqliteJournal(here.data / "journal", clock=lambda: here.now_us)
    here.index = index = CountingIndex(here.data / "dedupe", timedelta(hours=24))
    here.worker().close()
    needed = 63 if backlog else 31  # 24 hours, and 6 for clocks that are set back
    assert needed - 1 <= index.added <= needed + 1
    here.receive(0, ["m77", "m99", "new"])
    here.run()
    assert here.events()[100:] == (["new", "late"] if backlog else ["new"])


def test_a_slow_partition_keeps_its_window(
    here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two days wait in one partition, nothing in the other: the window is by receipt."""
    monkeypatch.setattr(worker_module, "_CHUNK", 2)
    began = here.now_us
    for hour in range(48):
        here.receive(0, [f"m{hour}", f"m{max(hour - 23, 0)}"])
        here.now_us += HOUR_US
    here.now_us = began + 49 * HOUR_US
    here.receive(1, ["n"])
    here.run()
    assert sorted(here.events()) == sorted(["n", *(f"m{hour}" for hour in range(48))])
    assert len(here.index._buckets) < 12


def test_partitions_left_by_fewer_workers_are_drained(here: Installation) -> None:
    for partition in (0, 3, 7):
        here.receive(partition, [f"p{partition}"])
    here.run()
    here.receive(0, ["later"])
    here.run()
    assert here.events() == ["p0", "p3", "p7", "later"]


def test_what_can_not_be_read_is_told_once(here: Installation) -> None:
    here.receive(0, ["a", "b"])
    here.now_us += 24 * HOUR_US
    here.receive(0, ["c"])
    here.now_us += 24 * HOUR_US
    here.receive(0, ["d"])
    path = here.data / "journal" / RECEIVED / "0" / segment_name(2)
    path.write_bytes(b"")
    worker = here.worker()
    worker.commit = lambda: None  # type: ignore[method-assign] # never gets as far
    drain(worker)
    worker._writer.close()
    worker._counts_writer.close()
    here.run()
    assert here.events() == ["a", "b", "d"]
    (told,) = here.rejected()
    assert told.code == "journal_damaged"
    assert told.reason == "received/0: events 2 to 2 can't be read: damaged"


def test_expired_ranges_are_told(here: Installation) -> None:
    for _ in range(3):
        here.receive(0, [f"at {here.now_us}"])
        here.now_us += 24 * HOUR_US
    here.journal.expire(RECEIVED, timedelta(0), 1)
    here.run()
    assert len(here.events()) == 1
    assert [one.reason for one in here.rejected()] == [
        "received/0: events 0 to 1 can't be read: expired"
    ]


def test_a_block_that_is_no_list_of_records(here: Installation) -> None:
    here.receive(0, ["a"])
    writer = here.journal.writer(RECEIVED, 0)
    writer.append([NewBlock(b"\xc1 nonsense", 2)])
    writer.close()
    here.receive(0, ["b"])
    here.run()
    assert here.events() == ["a", "b"]
    (told,) = here.rejected()
    assert (told.code, told.original) == ("journal_damaged", b"\xc1 nonsense")


def test_a_damaged_partition_does_not_hold_up_the_others(here: Installation) -> None:
    here.receive(0, ["a"])
    here.receive(1, ["b"])
    here.run()
    (here.data / "journal" / RECEIVED / "0" / segment_name(0)).write_bytes(b"")
    held = here.journal
    here.journal = SqliteJournal(here.data / "journal", clock=lambda: here.now_us)
    here.receive(1, ["c"])
    worker = here.worker()
    drain(worker)
    assert here.events() == ["a", "b", "c"]
    here.receive(0, ["d"])  # the worker had it mended
    worker._partitions[0].mend_after = 0
    drain(worker)
    assert here.events() == ["a", "b", "c", "d"]
    worker.close()
    held.close()


def test_events_that_lost_their_tail_are_told(here: Installation) -> None:
    here.receive(0, ["a"])
    here.run()
    here.now_us += 24 * HOUR_US
    here.receive(0, ["b", "c"])
    here.run()
    here.journal.close()
    (here.data / "journal" / EVENTS / "0" / segment_name(1)).unlink()
    here.journal = SqliteJournal(here.data / "journal", clock=lambda: here.now_us)
    here.receive(0, ["d"])
    here.run()
    assert here.events() == ["a", "d"]
    assert [one.reason for one in here.rejected()] == [
        "events/0: events 1 to 2 can't be read: lost by damage"
    ]
    here.receive(0, ["d", "e"])
    here.run()
    assert here.events() == ["a", "d", "e"]


def test_a_failed_append_is_made_again(here: Installation) -> None:
    here.receive(0, ["a", "a", "b"])
    worker = here.worker()
    append = worker._writer.append

    def failing(blocks: list[NewBlock]) -> list[int | None]:
        raise JournalUnwritable("no room")

    worker._writer.append = failing  # type: ignore[method-assign]
    for _ in range(3):
        with pytest.raises(JournalUnwritable):
            worker.step()
    worker._writer.append = append  # type: ignore[method-assign]
    drain(worker)
    worker.close()
    assert here.events() == ["a", "b"]
    assert (worker.processed, worker.duplicates) == (3, 1)


def test_a_clock_set_back(here: Installation) -> None:
    here.receive(0, ["a", "b"])
    here.now_us -= 2 * HOUR_US
    here.receive(0, ["b", "c"])
    here.receive(1, ["a", "d"])
    here.run()
    here.now_us -= 2 * HOUR_US
    here.close()
    here.open()
    here.receive(1, ["d", "c", "e"])
    here.run()
    assert here.events() == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize("hours", [6, 48])
def test_another_window_forgets_nothing_that_lies_in_it(here: Installation, hours: int) -> None:
    here.receive(0, ["a", "b"])
    here.run()
    here.close()
    here.open(window=timedelta(hours=hours))
    here.now_us += HOUR_US
    here.receive(0, ["a", "c"])
    here.run()
    assert here.events() == ["a", "b", "c"]
