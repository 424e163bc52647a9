"""The live tail: what it shows, what it leaves out and says so, and the fate of each event."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from penstock.errors import EngineUnreachable
from penstock.events.model import Record
from penstock.journal.contract import EVENTS, RECEIVED
from penstock.journal.sqlite import SqliteJournal
from penstock.monitor.tail import Polled, Tail, TailFilter
from penstock.process.dedupe import DedupeIndex
from penstock.process.worker import ProcessWorker
from penstock.warehouses.duckdb import DuckDbWarehouse
from penstock.warehouses.loader import Loader
from penstock.warehouses.staging import is_routed
from tests.monitor.journals import START_US, Journals, event, refused

Shown = list[tuple[str | None, str, str]]


class Parts:
    """A journal, the process step and the warehouse, each run when a test says so."""

    def __init__(self, data: Path) -> None:
        self.journals = Journals(data)
        self.journal = SqliteJournal(data / "journal")
        self.index = DedupeIndex(data / "dedupe", timedelta(hours=24))
        self.worker = ProcessWorker(self.journal, self.index)
        self.warehouse = DuckDbWarehouse(data / "w.duckdb", threads=1)
        self.loader = Loader(self.journal, self.warehouse, chunk=10_000)
        self.now = 100.0
        self.asked = 0
        self.answers = True

    def ask(self, sql: str) -> pa.Table:
        self.asked += 1
        if not self.answers:
            raise EngineUnreachable("nobody answers")
        return self.warehouse.query(sql)

    def tail(self, only: TailFilter | None = None, **how: object) -> Callable[[], Shown]:
        """Polls, two seconds later each time; gives (messageId, fate, note)."""
        tail = self.real_tail(only, **how)

        def poll() -> Shown:
            self.now += 2
            return shown(tail.poll())

        return poll

    def real_tail(self, only: TailFilter | None = None, **how: object) -> Tail:
        return Tail(
            self.journals.journal, self.ask, only=only or TailFilter(), clock=lambda: self.now,
            is_routed=lambda raw: is_routed(raw, "warehouse"), **how,  # type: ignore[arg-type]
        )  # fmt: skip

    def process(self) -> None:
        while self.worker.step():
            pass

    def load(self) -> None:
        while self.loader.step():
            pass

    def close(self) -> None:
        self.loader.close()
        self.warehouse.close()
        self.worker.close()
        self.index.close()
        self.journal.close()
        self.journals.close()


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    made = Parts(tmp_path)
    yield made
    made.close()


def shown(polled: Polled) -> Shown:
    return [(item.message_id, item.fate, item.note) for item in polled.items]


def complete(message_id: str, total: object, at_us: int = START_US, **more: Any) -> Record:
    moment = "2026-01-05T10:00:00Z"
    return event(
        message_id, "Paid", at_us, properties={"total": total}, timestamp=moment, receivedAt=moment,
        **more,
    )  # fmt: skip


def test_each_step_of_an_event_is_told_once(parts: Parts) -> None:
    poll = parts.tail()
    assert poll() == []
    parts.journals.receive(complete("a", 1), complete("b", "one"))
    assert poll() == [("a", "received", ""), ("b", "received", "")]
    assert poll() == []
    parts.process()
    assert poll() == [("a", "stored", ""), ("b", "stored", "")]
    assert poll() == []
    parts.load()
    for _ in range(3):
        told = poll()
        if told:
            break
    assert told == [("a", "loaded", ""), ("b", "loaded", "1 value in discards: total (type)")]
    asked = parts.asked
    assert poll() == []
    assert parts.asked == asked


def test_duplicates_are_told_from_the_first(parts: Parts) -> None:
    poll = parts.tail()
    twins = [complete("a", 1), complete("a", 1), complete("b", 1)]
    parts.journals.receive(*twins)
    parts.process()
    parts.journals.receive(complete("a", 2, START_US + 1), part=1)
    parts.process()
    told = poll()
    assert told[:4] == [(name, "received", "") for name in "aaba"]
    again = "its messageId was received before"
    assert told[4:6] == [("a", "stored", ""), ("b", "stored", "")]
    assert told[6:8] == [("a", "duplicate", again)] * 2
    assert told[8:] == []


def test_what_is_processed_while_it_is_being_read_is_no_duplicate(parts: Parts) -> None:
    """The step may store an event after `received` was read, and before `events` is."""
    tail = parts.real_tail()
    parts.journals.receive(complete("first", 1))
    original = tail._journal.partitions

    def partitions(topic: str) -> list[int]:
        if topic == EVENTS and parts.journals.journal.end(RECEIVED, 0) == 1:
            parts.journals.receive(complete("between", 1, START_US + 1))
            parts.process()
        return original(topic)

    tail._journal.partitions = partitions  # type: ignore[method-assign]
    assert shown(tail.poll()) == [("first", "received", ""), ("first", "stored", "")]
    tail._journal.partitions = original  # type: ignore[method-assign]
    parts.now += 5
    assert shown(tail.poll()) == [("between", "received", ""), ("between", "stored", "")]


def test_what_asks_not_to_be_loaded_is_filtered(parts: Parts) -> None:
    poll = parts.tail()
    parts.journals.receive(complete("a", 1, integrations={"Warehouses": False}))
    assert poll() == [("a", "received", "")]
    parts.process()
    parts.load()
    why = "kept out by integrations.Warehouses"
    assert poll() == [("a", "stored", ""), ("a", "filtered", why)]


def test_what_destinations_did_is_told_beside_the_fate(parts: Parts) -> None:
    told: dict[tuple[int, int], dict[str, tuple[str, str]]] = {}
    tail = parts.real_tail(ask_fates=lambda places: {p: told[p] for p in places if p in told})

    def poll() -> list[tuple[str, dict[str, str]]]:
        parts.now += 2
        return [(item.fate, item.deliveries) for item in tail.poll().items]

    parts.journals.receive(event("m1"))
    assert poll() == [("received", {})]
    parts.process()
    assert poll() == [("stored", {})]
    told[0, 0] = {"hook": ("retried", "503")}
    assert poll() == [("stored", {"hook": "retried 503"})]
    assert poll() == []
    told[0, 0] = {"hook": ("delivered", ""), "crm": ("filtered", "NO_MATCHING_MAPPING")}
    parts.load()
    whole = {"hook": "delivered", "crm": "filtered NO_MATCHING_MAPPING"}
    assert ("loaded", whole) in poll() + poll()


def test_a_warehouse_that_is_away_is_asked_ever_less_often(parts: Parts) -> None:
    parts.answers = False
    poll = parts.tail()
    parts.journals.receive(complete("a", 1))
    parts.process()
    assert poll() == [("a", "received", ""), ("a", "stored", "")]
    for _ in range(20):
        assert poll() == []
    assert parts.asked <= 7
    parts.answers = True
    parts.load()
    told = [line for _ in range(6) for line in poll()]
    assert told == [("a", "loaded", "")]


def test_it_begins_with_what_came_before_and_knows_its_fate(parts: Parts) -> None:
    for n in range(30):
        parts.journals.receive(complete(f"m{n}", 1, START_US + n))
        parts.process()
    parts.load()
    poll = parts.tail(back=2)
    assert poll() == [(f"m{n}", fate, "") for fate in ("received", "stored", "loaded")
                      for n in (28, 29)]  # fmt: skip
    assert parts.tail()() == []


def test_filters(parts: Parts) -> None:
    by = {
        "source": TailFilter(source="shop"),
        "event": TailFilter(event="$identify"),
        "user": TailFilter(user="u2"),
        "anonymous": TailFilter(user="visitor"),
    }
    tails = {name: parts.tail(only) for name, only in by.items()}
    parts.journals.receive(
        event("1"), event("2", source="shop"), event("3", None, type="identify"),
        event("4", userId="u2"), event("5", userId=None, anonymousId="visitor"),
    )  # fmt: skip
    body = b'{"event":"A","userId":"u2","messageId":"6"}'
    parts.journals.reject(refused("too_large", START_US + 1, original=body, path="/v1/track"))
    told = {name: [line[0] for line in poll()] for name, poll in tails.items()}
    assert told == {"source": ["2"], "event": ["3"], "user": ["4", "6"], "anonymous": ["5"]}


def test_what_was_refused_is_told_with_the_reason(parts: Parts) -> None:
    tail = parts.real_tail()
    parts.journals.reject(refused("invalid_json", source="", original=b"{\xff"))
    (item,) = tail.poll().items
    assert (item.source, item.event, item.fate) == ("", "$unknown", "rejected")
    assert (item.code, item.note) == ("invalid_json", "because of invalid_json")


def test_too_many_are_sampled_and_counted(parts: Parts) -> None:
    tail = parts.real_tail(most=10)
    sent = [complete(f"m{n}", 1, START_US + n) for n in range(7_000)]
    for start in range(0, 7_000, 1_000):
        parts.journals.receive(*sent[start : start + 1_000])
    polled = tail.poll()
    assert len(polled.items) == 10
    assert polled.items[-1].message_id == "m6999"
    assert polled.skipped == 6_990
    parts.process()
    told = tail.poll()
    assert [item.fate for item in told.items] == ["stored"] * 10
    assert told.skipped == 0


def test_memory_is_bounded(parts: Parts) -> None:
    tail = parts.real_tail(most=400)
    for turn in range(6):
        first = turn * 400
        parts.journals.receive(
            *(complete(f"m{first + n}", 1, START_US + first) for n in range(400))
        )
        tail.poll()
    assert len(tail._shown) == 1_000
    assert len(tail._fates._waiting) == 1_000
    parts.process()
    assert len(tail.poll().items) == 1_000
