"""What every journal must do. A backend's tests subclass JournalContract and give ``stores``.

Events are opaque to a journal, so bodies here are short texts and counts are free.
"""

from __future__ import annotations

import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import timedelta

import pytest

from penstock.errors import JournalError
from penstock.journal.contract import Block, Gap, Journal, NewBlock, Reading

TOPIC = "received"
DAY_US = 86_400_000_000
ALL = 1 << 30


class Clock:
    """Microseconds since 1970, moved by hand."""

    def __init__(self) -> None:
        self.now_us = 20_000 * DAY_US

    def __call__(self) -> int:
        return self.now_us


class Stores(ABC):
    """The storage of one journal: it outlives each Journal object opened on it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self._opened: list[Journal] = []

    def open(self, segment_bytes: int = 1 << 30) -> Journal:
        """A new Journal object on the same storage."""
        journal = self._journal(segment_bytes)
        self._opened.append(journal)
        return journal

    def close(self) -> None:
        """Close every Journal object."""
        for journal in self._opened:
            journal.close()

    @abstractmethod
    def _journal(self, segment_bytes: int) -> Journal: ...

    @abstractmethod
    def opening_code(self) -> str:
        """Python source that binds ``journal`` to a Journal on this storage."""


def new(text: str, count: int = 1, producer: str = "", sequence: int = -1) -> NewBlock:
    """A block whose body is a text."""
    return NewBlock(text.encode(), count, f"meta of {text}".encode(), producer, sequence)


def bodies(reading: Reading) -> list[str]:
    """The texts read."""
    return [block.body.decode() for block in reading.blocks]


def read_all(journal: Journal, position: int = 0, partition: int = 0) -> list[Block]:
    """Every block from a position on, one at a time, as a slow consumer reads."""
    blocks: list[Block] = []
    while True:
        reading = journal.read(TOPIC, partition, position, 1)
        if reading.next == position:
            return blocks
        blocks += reading.blocks
        position = reading.next


class JournalContract(ABC):
    """Subclass it, and define the fixture ``stores``."""

    @pytest.fixture
    @abstractmethod
    def stores(self) -> Iterator[Stores]: ...

    @pytest.fixture
    def journal(self, stores: Stores) -> Journal:
        return stores.open()

    def test_an_empty_journal_reads_as_nothing(self, journal: Journal) -> None:
        assert journal.partitions(TOPIC) == []
        assert journal.start(TOPIC, 0) == journal.end(TOPIC, 0) == 0
        assert journal.read(TOPIC, 0, 0, 100) == Reading()
        assert journal.position("anyone", TOPIC, 0) == 0
        assert journal.size(TOPIC) == 0
        assert journal.expire(TOPIC, timedelta(0), 1) == []

    def test_positions_count_events_and_blocks_come_back_whole(
        self, journal: Journal, stores: Stores
    ) -> None:
        writer = journal.writer(TOPIC, 0)
        assert writer.append([new("a", 3)]) == [0]
        assert writer.append([new("b", 2), new("c", 5)]) == [3, 5]
        assert writer.append([]) == []
        writer.close()
        reading = journal.read(TOPIC, 0, 0, 100)
        now = stores.clock.now_us
        assert reading.blocks == [
            Block(0, 3, now, b"meta of a", b"a"),
            Block(3, 2, now, b"meta of b", b"b"),
            Block(5, 5, now, b"meta of c", b"c"),
        ]
        assert (reading.gaps, reading.next) == ([], 10)
        assert (journal.start(TOPIC, 0), journal.end(TOPIC, 0)) == (0, 10)

    def test_a_block_that_holds_the_position_is_read_whole(self, journal: Journal) -> None:
        writer = journal.writer(TOPIC, 0)
        writer.append([new("a", 3), new("b", 4)])
        writer.close()
        for position, expected in ((0, 0), (2, 0), (3, 3), (6, 3)):
            reading = journal.read(TOPIC, 0, position, 100)
            assert (reading.blocks[0].first, reading.next) == (expected, 7)
        assert journal.read(TOPIC, 0, 7, 100) == Reading(next=7)

    def test_about_max_events_are_read_but_at_least_a_block(self, journal: Journal) -> None:
        writer = journal.writer(TOPIC, 0)
        writer.append([new(name, 10) for name in "abcd"])
        writer.close()
        assert bodies(journal.read(TOPIC, 0, 0, 1)) == ["a"]
        assert bodies(journal.read(TOPIC, 0, 0, 11)) == ["a", "b"]
        assert [block.first for block in read_all(journal)] == [0, 10, 20, 30]

    def test_a_refused_append_leaves_nothing_of_its_blocks(self, journal: Journal) -> None:
        writer = journal.writer(TOPIC, 0)
        writer.append([new("a")])
        with pytest.raises(ValueError, match="at least one event"):
            writer.append([new("b", producer="p", sequence=1), new("c", 0)])
        assert writer.last_sequence("p") is None
        assert writer.append([new("d")]) == [1]
        writer.close()
        assert bodies(journal.read(TOPIC, 0, 0, ALL)) == ["a", "d"]

    def test_a_sequence_is_appended_once(self, journal: Journal) -> None:
        writer = journal.writer(TOPIC, 0)
        assert writer.last_sequence("p") is None
        assert writer.append([new("a", 2, "p", 5)]) == [0]
        assert writer.append([new("again", 2, "p", 5), new("older", 1, "p", 4)]) == [None, None]
        assert writer.append([new("b", 1, "p", 6), new("twice", 1, "p", 6)]) == [2, None]
        assert writer.append([new("q", 1, "q", 0)]) == [3]
        assert (writer.last_sequence("p"), writer.last_sequence("q")) == (6, 0)
        writer.close()
        assert bodies(journal.read(TOPIC, 0, 0, ALL)) == ["a", "b", "q"]

    def test_a_sequence_is_remembered_across_segments_and_openings(self, stores: Stores) -> None:
        for day in range(3):
            journal = stores.open()
            writer = journal.writer(TOPIC, 0)
            assert writer.last_sequence("p") == (7 if day else None)
            assert writer.append([new("a", 1, "p", 7)]) == [None if day else 0]
            writer.append([new(f"day {day}")])
            stores.clock.now_us += DAY_US
            writer.append([new(f"day {day}, late")])
            writer.close()
        assert len(read_all(stores.open())) == 7

    def test_a_partition_has_one_writer(self, stores: Stores) -> None:
        first, second = stores.open(), stores.open()
        writer = first.writer(TOPIC, 0)
        for journal in (first, second):
            with pytest.raises(JournalError, match="writer"):
                journal.writer(TOPIC, 0)
        first.writer(TOPIC, 1).close()
        writer.append([new("a")])
        writer.close()
        again = second.writer(TOPIC, 0)
        assert again.append([new("b")]) == [1]
        again.close()

    def test_a_writer_in_another_process_is_known(self, stores: Stores) -> None:
        code = f"{stores.opening_code()}\nw = journal.writer('{TOPIC}', 0)\nprint('open')\ninput()"
        with subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as other:
            assert other.stdout and other.stdout.readline() == "open\n"
            with pytest.raises(JournalError, match="writer"):
                stores.open().writer(TOPIC, 0)
            other.communicate("\n")
        stores.open().writer(TOPIC, 0).close()

    def test_another_process_reads_while_this_one_writes(self, stores: Stores) -> None:
        code = (
            f"{stores.opening_code()}\n"
            "import sys\n"
            "at = 0\n"
            "for line in sys.stdin:\n"
            f"    found = journal.read('{TOPIC}', 0, at, 1 << 30)\n"
            "    at = found.next\n"
            "    print(at, *(block.body.decode() for block in found.blocks), flush=True)\n"
            "journal.close()\n"
        )
        journal = stores.open()
        writer = journal.writer(TOPIC, 0)
        with subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as other:
            assert other.stdin and other.stdout

            def told() -> str:
                assert other.stdin and other.stdout
                other.stdin.write("\n")
                other.stdin.flush()
                return other.stdout.readline().strip()

            expected = "0"
            assert told() == expected
            for number in range(6):
                if number == 3:
                    stores.clock.now_us += DAY_US
                writer.append([new(f"x{number}", 2), new(f"y{number}", 1)])
                assert told() == f"{number * 3 + 3} x{number} y{number}"
            assert told() == "18"
            other.stdin.close()
            other.wait(30)
        writer.close()

    def test_reading_goes_on_into_the_next_segment(self, stores: Stores) -> None:
        journal = stores.open()
        writer = journal.writer(TOPIC, 0)
        for number in range(12):
            writer.append([new(f"n{number}", 5)])
            stores.clock.now_us += DAY_US // 3
        reading = journal.read(TOPIC, 0, 0, ALL)
        assert bodies(reading) == [f"n{number}" for number in range(12)]
        assert (reading.gaps, reading.next) == ([], 60)
        assert [block.first for block in read_all(journal, 7)] == list(range(5, 60, 5))
        writer.close()

    def test_reading_goes_on_past_large_segments(self, stores: Stores) -> None:
        journal = stores.open(segment_bytes=1)
        writer = journal.writer(TOPIC, 0)
        for number in range(5):
            writer.append([new(f"n{number}")])
        assert bodies(journal.read(TOPIC, 0, 0, ALL)) == [f"n{number}" for number in range(5)]
        writer.close()
        assert journal.end(TOPIC, 0) == 5

    def test_created_us_never_falls(self, stores: Stores) -> None:
        journal = stores.open()
        writer = journal.writer(TOPIC, 0)
        assert writer.last_created_us() == 0
        writer.append([new("a")])
        late = stores.clock.now_us
        stores.clock.now_us -= 3 * DAY_US
        writer.append([new("b")])
        writer.close()
        writer = stores.open().writer(TOPIC, 0)
        assert writer.last_created_us() == late
        writer.append([new("c")])
        writer.close()
        assert [block.created_us for block in read_all(journal)] == [late] * 3

    def test_consumers_have_positions_of_their_own(self, stores: Stores) -> None:
        journal = stores.open()
        journal.commit("one", TOPIC, 0, 10)
        journal.commit("one", TOPIC, 0, 12)
        journal.commit("one", TOPIC, 1, 3)
        journal.commit("two", "events", 0, 4)
        other = stores.open()
        assert other.position("one", TOPIC, 0) == 12
        assert other.position("one", TOPIC, 1) == 3
        assert other.position("two", TOPIC, 0) == 0
        assert other.position("two", "events", 0) == 4

    def test_partitions_and_topics_are_apart(self, stores: Stores) -> None:
        journal = stores.open()
        for topic, part in ((TOPIC, 2), (TOPIC, 0), (TOPIC, 11), ("events", 1)):
            writer = journal.writer(topic, part)
            assert writer.append([new(f"{topic} {part}")]) == [0]
            writer.close()
        assert stores.open().partitions(TOPIC) == [0, 2, 11]
        assert journal.partitions("events") == [1]
        assert bodies(journal.read(TOPIC, 11, 0, ALL)) == [f"{TOPIC} 11"]
        assert journal.size(TOPIC) > 0

    def _days(self, stores: Stores, days: int, partition: int = 0) -> Journal:
        """A journal with two blocks of 5 events for each day, the clock after the last."""
        journal = stores.open()
        writer = journal.writer(TOPIC, partition)
        for day in range(days):
            writer.append([new(f"morning {day}", 5)])
            stores.clock.now_us += DAY_US // 2
            writer.append([new(f"evening {day}", 5)])
            stores.clock.now_us += DAY_US // 2
        writer.close()
        return journal

    def test_what_is_old_and_read_expires(self, stores: Stores) -> None:
        journal = self._days(stores, 5)
        journal.commit("c", TOPIC, 0, 50)
        before = journal.size(TOPIC)
        dropped = journal.expire(TOPIC, timedelta(days=2, hours=11), 0)
        assert len(dropped) == 3
        assert not any("unread" in line for line in dropped)
        assert (journal.start(TOPIC, 0), journal.end(TOPIC, 0)) == (30, 50)
        assert journal.size(TOPIC) < before
        reading = journal.read(TOPIC, 0, 7, ALL)
        assert reading.gaps == [Gap(7, 30, "expired")]
        assert (reading.blocks[0].first, reading.next) == (30, 50)
        assert journal.read(TOPIC, 0, 30, ALL).gaps == []
        assert journal.expire(TOPIC, timedelta(days=2, hours=11), 0) == []

    def test_what_someone_has_not_read_does_not_expire_by_age(self, stores: Stores) -> None:
        journal = self._days(stores, 4)
        journal.commit("fast", TOPIC, 0, 40)
        journal.commit("slow", TOPIC, 0, 15)
        assert len(journal.expire(TOPIC, timedelta(0), 0)) == 1
        assert journal.start(TOPIC, 0) == 10
        journal.commit("slow", TOPIC, 0, 40)
        assert len(journal.expire(TOPIC, timedelta(0), 0)) == 2

    def test_a_consumer_that_is_forgotten_holds_nothing_back(self, stores: Stores) -> None:
        journal = self._days(stores, 4)
        journal.commit("stays", TOPIC, 0, 40)
        journal.commit("leaves", TOPIC, 0, 5)
        assert journal.expire(TOPIC, timedelta(0), 0) == []
        journal.forget("leaves", "other topic")
        assert journal.expire(TOPIC, timedelta(0), 0) == []
        journal.forget("leaves", TOPIC)
        assert journal.position("leaves", TOPIC, 0) == 0
        assert len(journal.expire(TOPIC, timedelta(0), 0)) == 3
        journal.forget("nobody", TOPIC)

    def test_a_consumer_of_a_topic_needs_its_new_partitions(self, stores: Stores) -> None:
        journal = self._days(stores, 3)
        self._days(stores, 3, partition=1)
        journal.commit("c", TOPIC, 0, 30)
        journal.expire(TOPIC, timedelta(0), 0)
        assert (journal.start(TOPIC, 0), journal.start(TOPIC, 1)) == (20, 0)

    def test_without_consumers_age_alone_counts(self, stores: Stores) -> None:
        journal = self._days(stores, 3)
        assert len(journal.expire(TOPIC, timedelta(0), 0)) == 2

    def test_the_newest_segment_stays(self, stores: Stores) -> None:
        journal = self._days(stores, 3)
        stores.clock.now_us += 100 * DAY_US
        journal.expire(TOPIC, timedelta(0), 1)
        assert (journal.start(TOPIC, 0), journal.end(TOPIC, 0)) == (20, 30)
        writer = journal.writer(TOPIC, 0)
        assert writer.append([new("on")]) == [30]
        writer.close()

    def test_size_takes_what_is_read_first_then_reports_the_unread(self, stores: Stores) -> None:
        journal = self._days(stores, 3)
        self._days(stores, 3, partition=1)
        journal.commit("c", TOPIC, 0, 5)
        journal.commit("c", TOPIC, 1, 30)
        whole = journal.size(TOPIC)
        (line,) = journal.expire(TOPIC, timedelta(days=99), whole - 1)
        assert "unread" not in line
        assert (journal.start(TOPIC, 0), journal.start(TOPIC, 1)) == (0, 10)
        lines = journal.expire(TOPIC, timedelta(days=99), 1)
        unread = [line for line in lines if "expired_unread" in line]
        assert (len(lines), len(unread)) == (3, 2)
        assert "unread from 5" in unread[0]
        assert journal.read(TOPIC, 0, 5, ALL).gaps == [Gap(5, 20, "expired")]

    def test_a_reader_goes_on_while_segments_are_dropped(self, stores: Stores) -> None:
        journal = self._days(stores, 4)
        reader = stores.open()
        first = reader.read(TOPIC, 0, 0, 1)
        assert first.next == 5
        journal.expire(TOPIC, timedelta(0), 1)
        reading = reader.read(TOPIC, 0, first.next, ALL)
        assert reading.gaps == [Gap(5, 30, "expired")]
        assert bodies(reading) == ["morning 3", "evening 3"]

    def test_positions_that_were_read_are_never_used_again(self, stores: Stores) -> None:
        journal = stores.open()
        journal.commit("c", TOPIC, 0, 9)
        writer = journal.writer(TOPIC, 0)
        assert writer.append([new("a")]) == [9]
        writer.close()
