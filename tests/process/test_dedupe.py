from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.events.model import Record
from penstock.process.dedupe import DedupeIndex, Keyed, keyed

WINDOW = timedelta(microseconds=400)
START = 1_000_000


def record(name: str, received_us: int, source: str = "s") -> Record:
    return Record(source, name, received_us, b"")


class Model:
    """The obvious way: every time at which a key was accepted."""

    def __init__(self) -> None:
        self.accepted: dict[tuple[str, str], list[int]] = {}

    def fresh(self, records: list[Record]) -> list[Record]:
        kept = []
        for one in records:
            times = self.accepted.setdefault((one.source, one.message_id), [])
            if all(abs(one.received_us - before) > 400 for before in times):
                times.append(one.received_us)
                kept.append(one)
        return kept


@pytest.fixture
def index(tmp_path: Path) -> Iterator[DedupeIndex]:
    index = DedupeIndex(tmp_path / "dedupe", WINDOW)
    yield index
    index.close()


def accept(index: DedupeIndex, records: list[Record], position: int = 0) -> list[Record]:
    fresh = index.fresh(records)
    index.add(fresh, position)
    return fresh.records


def test_the_window_is_exact_at_both_ends(index: DedupeIndex) -> None:
    assert accept(index, [record("a", START)])
    assert not accept(index, [record("a", START + 400)])
    assert not accept(index, [record("a", START - 400)])
    assert accept(index, [record("a", START + 401)])
    assert accept(index, [record("a", START - 401)])


def test_a_duplicate_does_not_lengthen_the_window(index: DedupeIndex) -> None:
    assert accept(index, [record("a", START)])
    assert not accept(index, [record("a", START + 300)])
    assert accept(index, [record("a", START + 401)])


def test_within_a_batch_the_first_counts(index: DedupeIndex) -> None:
    given_ = [record("a", START), record("a", START + 1), record("b", START), record("a", START)]
    assert accept(index, given_) == [given_[0], given_[2]]
    assert accept(index, []) == []


def test_sources_and_ids_do_not_run_together(index: DedupeIndex) -> None:
    assert accept(
        index, [record("b", START, "a"), record("ab", START, ""), record("\ud800", START)]
    )
    assert accept(index, [record("", START, "ab")])


def test_it_is_all_there_after_reopening(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "dedupe"
    index = DedupeIndex(folder, WINDOW)
    assert index.position() == 0
    for number in range(10):
        accept(index, [record(f"k{number}", START + number * 50)], number)
    index.close()
    index = DedupeIndex(folder, WINDOW)
    assert index.position() == 9
    assert not accept(index, [record(f"k{number}", START + 400) for number in range(2, 10)])
    index.close()


def test_forgetting_keeps_the_window_and_drops_the_rest(index: DedupeIndex) -> None:
    for number in range(100):
        accept(index, [record(f"k{number}", START + number * 50)])
    newest = START + 99 * 50
    index.forget(newest)
    assert len(index._buckets) <= 6
    assert not accept(index, [record(f"k{number}", newest) for number in range(91, 100)])
    assert accept(index, [record("k90", newest)])


def test_a_corrupt_folder_is_set_aside(tmp_path: Path) -> None:
    folder = tmp_path / "dedupe"
    index = DedupeIndex(folder, WINDOW)
    accept(index, [record("a", START)], 5)
    index.close()
    for manifest in folder.glob("MANIFEST-*"):
        manifest.write_bytes(b"nonsense")
    index = DedupeIndex(folder, WINDOW)
    assert index.position() == 0
    index.close()
    assert list(tmp_path.glob("dedupe.damaged-*"))


steps = st.lists(
    st.tuples(
        st.integers(0, 2),  # partition
        st.integers(-1500, 600),  # how far its clock moves
        st.lists(st.tuples(st.integers(0, 12), st.integers(0, 60)), max_size=8),
    ),
    max_size=40,
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=steps, reopen_at=st.integers(0, 40), clamped=st.booleans())
def test_it_equals_a_dict(
    steps: list[tuple[int, int, list[tuple[int, int]]]], reopen_at: int, clamped: bool
) -> None:
    """Several partitions whose clocks step, forward or back; dropping what none can meet."""
    with tempfile.TemporaryDirectory() as folder:
        index = DedupeIndex(Path(folder) / "dedupe", WINDOW)
        model = Model()
        clocks = [START, START, START]
        for number, (partition, moved, events) in enumerate(steps):
            if number == reopen_at:
                index.close()
                index = DedupeIndex(Path(folder) / "dedupe", WINDOW)
            clocks[partition] += max(moved, 0) if clamped else moved
            records = []
            for name, later in events:
                clocks[partition] += later
                records.append(record(f"m{name}", clocks[partition]))
            fresh = index.fresh(records)
            assert fresh.records == model.fresh(records)
            assert fresh.keys == keyed(fresh.records).keys
            index.add(fresh, number)
            if clamped:  # then no partition goes back behind where it is
                index.forget(min(clocks))
        index.close()


def test_many_keys(index: DedupeIndex) -> None:
    chance = random.Random(3)
    model = Model()
    for chunk in range(20):
        records = [
            record(f"{chance.randrange(6000)}", START + chunk * 50 + n // 40) for n in range(2000)
        ]
        assert accept(index, records) == model.fresh(records)
        index.forget(START + chunk * 50)
    assert isinstance(index.fresh([]), Keyed)
