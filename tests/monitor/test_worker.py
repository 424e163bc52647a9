"""The monitor's worker: exact counts, whatever crashes, and honest samples."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.errors import FormatTooNew, MonitorError
from penstock.journal.contract import EVENTS
from penstock.monitor import worker as worker_module
from penstock.monitor.catalogue import EventShape, catalogue
from penstock.monitor.ledger import Ledger
from penstock.monitor.names import EventIds
from penstock.monitor.store import MonitorStore
from penstock.monitor.volumes import volumes
from tests.monitor.journals import MINUTE_US, START, START_US, Journals, event, refused

CHILD = """
import sys
from datetime import timedelta
from pathlib import Path
from penstock.journal.sqlite import SqliteJournal
from penstock.monitor import worker
from penstock.monitor.store import MonitorStore
worker._ROUND = 50
worker._CHUNK = 50
data = Path(sys.argv[1])
found = worker.MonitorWorker(
    SqliteJournal(data / "journal"), MonitorStore(data / "m.sqlite", mend=True), every=timedelta(0)
)
print("counting", flush=True)
while found.step():
    pass
"""


@pytest.fixture
def journals(tmp_path: Path) -> Iterator[Journals]:
    made = Journals(tmp_path)
    yield made
    made.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MonitorStore]:
    opened = MonitorStore(tmp_path / "m.sqlite")
    yield opened
    opened.close()


def found(store: MonitorStore) -> dict[tuple[str, str], EventShape]:
    return {(shape.source, shape.event): shape for shape in catalogue(store)}


def counts(store: MonitorStore, **how: object) -> dict[tuple[str, str, str], int]:
    """Events by source, name and outcome."""
    hours = timedelta(hours=1)
    listed = volumes(store, start=START - hours, end=START + hours, **how)  # type: ignore[arg-type]
    sums: dict[tuple[str, str, str], int] = {}
    for one in listed:
        key = (one.source, one.event, one.outcome)
        sums[key] = sums.get(key, 0) + one.count
    return sums


def test_what_passes_is_counted_by_minute_source_name_and_outcome(
    journals: Journals, store: MonitorStore
) -> None:
    journals.store(event("1"), event("2", at_us=START_US + MINUTE_US), event("3", "B"))
    journals.store(event("4", None, type="identify"), event("5", "$identify"), event("6", "Ä\n"))
    journals.store(event("7", source="shop"))
    named = b'{"type":"track","event":"A"}'
    journals.reject(refused("too_large"), refused("no_user_anon_id", original=named))
    journals.reject(refused("unknown_source", source="", path="/v1/page"), part=10_000)
    worker = journals.worker(store)
    assert worker.step() == 10
    assert counts(store) == {
        ("web", "A", "stored"): 2,
        ("web", "B", "stored"): 1,
        ("web", "$identify", "stored"): 1,
        ("web", "$$identify", "stored"): 1,
        ("web", "Ä\n", "stored"): 1,
        ("shop", "A", "stored"): 1,
        ("web", "$unknown", "rejected:too_large"): 1,
        ("web", "A", "rejected:no_user_anon_id"): 1,
        ("", "$page", "rejected:unknown_source"): 1,
    }
    minutes = volumes(store, start=START, end=START + timedelta(minutes=2), source="web", event="A")
    assert [(one.at - START, one.outcome, one.count) for one in minutes] == [
        (timedelta(0), "rejected:no_user_anon_id", 1),
        (timedelta(0), "stored", 1),
        (timedelta(minutes=1), "stored", 1),
    ]
    shape = found(store)["web", "A"]
    assert (shape.count, shape.rejected) == (2, 1)
    assert shape.last_seen - shape.first_seen == timedelta(minutes=1)
    assert worker.step() == 0
    assert journals.journal.position("monitor", EVENTS, 0) == 7


def test_counts_are_exact_when_it_is_killed_again_and_again(tmp_path: Path) -> None:
    journals = Journals(tmp_path)
    number = 0
    for _ in range(600):
        block = [event(f"m{number + n}", f"E{(number + n) % 7}", a=n) for n in range(20)]
        journals.store(*block)
        number += 20
    journals.reject(*(refused("too_large") for _ in range(900)))
    rng = random.Random(3)
    kills = 0
    pauses: list[float | None] = [rng.uniform(0.0, 0.15) for _ in range(20)]
    for pause in [*pauses, None]:  # the last may take its time, on a slow machine
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        with child, child.stdout:
            child.stdout.readline()
            if pause is not None:
                time.sleep(pause)
                child.send_signal(signal.SIGKILL)
        kills += child.returncode == -signal.SIGKILL
        if child.returncode == 0:
            break
    journals.close()
    assert kills >= 2
    assert child.returncode == 0
    store = MonitorStore(tmp_path / "m.sqlite")
    shapes = found(store)
    assert sum(shape.count for shape in shapes.values()) == number
    assert {shapes["web", f"E{n}"].count for n in range(7)} <= {number // 7, number // 7 + 1}
    assert sum(n for key, n in counts(store).items() if key[2] == "stored") == number
    assert counts(store)["web", "$unknown", "rejected:too_large"] == 900
    (hour,) = store.connection.execute("SELECT sum(stored), sum(rejected) FROM ledger").fetchall()
    assert hour == (number, 900)
    store.close()


NAMES = ["A", "A B", 'A "B"', "A\\", "$A", "$$A", "Ä", "a,", "{", "{A", "", '","event":"B', "\n"]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(NAMES) | st.text(max_size=4),
            st.sampled_from(['m", "event":"X', "{", "m,"]) | st.text(max_size=4),
            st.sampled_from(["track", "page"]),
        ),
        max_size=30,
    )
)
def test_names_are_read_right_whatever_is_in_them(sent: list[tuple[str, str, str]]) -> None:
    wanted = Counter(
        (f"${kind}" if kind != "track" else f"${name}" if name[:1] == "$" else name) or "$unknown"
        for name, _, kind in sent
    )
    records = [event(message, name, type=kind) for name, message, kind in sent]
    for record in records:  # as the collector writes them
        record.payload = msgspec.json.encode(msgspec.json.decode(record.payload))
    with tempfile.TemporaryDirectory() as folder:
        journals = Journals(Path(folder))
        store = MonitorStore(Path(folder) / "m.sqlite")
        journals.store(event("first", "First"), *records)
        journals.worker(store).step()
        assert {shape.event: shape.count for shape in catalogue(store)} == {**wanted, "First": 1}
        store.close()
        journals.close()


def test_a_write_that_fails_is_done_again_as_a_whole(
    journals: Journals, store: MonitorStore
) -> None:
    failing = [True]

    class Failing(Ledger):
        def flush(self, *, caught_up: bool) -> None:
            super().flush(caught_up=caught_up)
            if failing:
                raise MonitorError("the disk is full")

    worker = journals.worker(store, ledger=Failing)
    journals.store(*(event(name, properties={"n": 1}) for name in "12"))
    with pytest.raises(MonitorError):
        worker.step()
    assert found(store) == {}
    failing.clear()
    assert worker.step() == 2
    shape = found(store)["web", "A"]
    assert (shape.count, shape.examined) == (2, 2)
    assert [(one.path, one.count) for one in shape.properties] == [("n", 2)]
    (stored,) = store.connection.execute("SELECT sum(stored) FROM ledger").fetchone()
    assert stored == 2


def test_many_at_once_are_sampled_and_said_to_be(journals: Journals, store: MonitorStore) -> None:
    many = [event(f"m{n}", "Often", properties={"n": n}) for n in range(1_000)]
    journals.store(*many[:500], event("s", "Seldom", properties={"n": 1}), *many[500:])
    journals.worker(store).step()
    often, seldom = found(store)["web", "Often"], found(store)["web", "Seldom"]
    assert (often.count, often.examined, often.sampled) == (1_000, worker_module._EXAMINED, True)
    assert often.properties[0].count == often.examined
    assert (seldom.count, seldom.examined, seldom.sampled) == (1, 1, False)


def test_few_at_a_time_are_all_examined(journals: Journals, store: MonitorStore) -> None:
    worker = journals.worker(store)
    for turn in range(5):
        journals.store(*(event(f"{turn} {n}", properties={"n": n}) for n in range(90)))
        worker.step()
    shape = found(store)["web", "A"]
    assert (shape.count, shape.examined, shape.sampled) == (450, 450, False)
    assert shape.properties[0].types == {"integer": 450}


def test_a_source_with_too_many_names(
    journals: Journals, store: MonitorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EventIds.__init__, "__defaults__", (3,))
    worker = journals.worker(store)
    journals.store(*(event(f"m{n}", f"E{n}", properties={"n": n}) for n in range(10)))
    journals.store(event("last", "E1", properties={"n": 1}), event("x", "E0", source="shop"))
    worker.step()
    listed = {key: shape.count for key, shape in found(store).items()}
    assert listed == {("web", "E0"): 1, ("web", "E1"): 2, ("web", "E2"): 1,
                      ("web", "$other"): 7, ("shop", "E0"): 1}  # fmt: skip
    assert found(store)["web", "$other"].properties == ()


def test_it_works_once_a_second_unless_there_is_more(
    journals: Journals, store: MonitorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "_ROUND", 4)
    monkeypatch.setattr(worker_module, "_CHUNK", 2)
    now = [100.0]
    worker = worker_module.MonitorWorker(journals.journal, store, clock=lambda: now[0])
    for n in range(5):
        journals.store(event(f"{n}a"), event(f"{n}b"))
    assert [worker.step() for _ in range(4)] == [4, 4, 2, 0]
    journals.store(event("c"))
    now[0] += 0.9
    assert worker.step() == 0
    now[0] += 0.2
    assert worker.step() == 1


def test_a_file_that_is_none_is_set_aside_by_the_role_alone(tmp_path: Path) -> None:
    file = tmp_path / "m.sqlite"
    file.write_bytes(b"this is no database, and it is long enough to be looked at" * 20)
    with pytest.raises(MonitorError, match="penstock up"):
        MonitorStore(file)
    store = MonitorStore(file, mend=True)
    assert found(store) == {}
    store.close()
    assert list(tmp_path.glob("m.sqlite.damaged-*"))


def test_a_newer_file_is_left_alone(tmp_path: Path) -> None:
    store = MonitorStore(tmp_path / "m.sqlite")
    store.connection.execute("UPDATE about SET format_version = 99")
    store.close()
    with pytest.raises(FormatTooNew, match="newer Penstock"):
        MonitorStore(tmp_path / "m.sqlite", mend=True)


def test_old_minutes_become_hours_and_old_hours_go(journals: Journals, store: MonitorStore) -> None:
    clock = [START]
    worker = journals.worker(store, retention=timedelta(days=30), now=lambda: clock[0])
    at = [START_US, START_US + 5 * MINUTE_US, START_US + 61 * MINUTE_US]
    journals.store(*(event(str(n), at_us=us) for n, us in enumerate(at)))
    worker.step()

    def listed(by: str) -> list[tuple[timedelta, timedelta, int]]:
        span = (START - timedelta(days=1), START + timedelta(days=1))
        rows = volumes(store, start=span[0], end=span[1], by=by)  # type: ignore[arg-type]
        return [(one.at - START, one.span, one.count) for one in rows]

    minute, hour = timedelta(minutes=1), timedelta(hours=1)
    assert listed("minute") == [(0 * minute, minute, 1), (5 * minute, minute, 1),
                                (61 * minute, minute, 1)]  # fmt: skip
    by_hour = listed("hour")
    assert by_hour == [(0 * hour, hour, 2), (hour, hour, 1)]
    clock[0] = START + timedelta(days=8)
    worker.maintain()
    assert listed("minute") == by_hour
    assert listed("hour") == by_hour
    assert [count for *_, count in listed("day")] == [3]
    journals.store(event("late", at_us=START_US + MINUTE_US))
    worker.step()
    worker.maintain()
    assert listed("hour") == [(0 * hour, hour, 3), (hour, hour, 1)]
    clock[0] = START + timedelta(days=31)
    worker.maintain()
    assert listed("hour") == []
