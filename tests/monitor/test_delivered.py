"""The ledger of destinations balances, and tells when it does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.destinations.delivery.records import Gone, LedgerSum
from penstock.events.counts import HOUR_US
from penstock.journal.contract import EVENTS
from penstock.monitor import delivered as module
from penstock.monitor.delivered import Places, delivery_rows
from penstock.monitor.store import MonitorStore
from penstock.monitor.worker import MonitorWorker
from tests.monitor.journals import START, START_US, Journals, event

HOUR = START_US // HOUR_US


class Said:
    """What the deliver role would answer."""

    def __init__(self) -> None:
        self.places: Places = {}
        self.sums: list[LedgerSum] = []
        self.gaps: list[Gone] = []

    def __call__(self, since: int) -> tuple[Places, list[LedgerSum], list[Gone]]:
        return self.places, [one for one in self.sums if one.hour >= since], self.gaps

    def passes(self, end: int, started: int = 0, slug: str = "hook", **counts: int) -> None:
        self.places[slug, 0] = (started, end)
        full = {"more": 0, "delivered": 0, "filtered": 0, "waiting": 0, "dead": 0, **counts}
        self.sums = [one for one in self.sums if one.destination != slug]
        self.sums.append(LedgerSum(slug, "web", HOUR, **full))


class Watch:
    def __init__(self, data: Path) -> None:
        self.journals = Journals(data)
        self.said = Said()
        self.store = MonitorStore(data / "monitor.sqlite")
        self.worker = self.begin()
        self.stored = 0

    def begin(self) -> MonitorWorker:
        self.worker = self.journals.worker(self.store, ask_deliveries=self.said)
        return self.worker

    def put(self, *counts: int) -> None:
        for count in counts:
            records = [event(f"m{self.stored + n}") for n in range(count)]
            self.journals.store(*records)
            self.stored += count
        while self.worker.step():
            pass

    def missing(self) -> dict[str, int]:
        self.worker.confirm()
        return {row.destination: row.missing for row in delivery_rows(self.store.connection)}

    def passed(self) -> int:
        return sum(row.passed for row in delivery_rows(self.store.connection))


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    made = Watch(tmp_path)
    yield made
    made.store.close()
    made.journals.close()


def test_it_balances_inside_and_between_blocks(watch: Watch) -> None:
    watch.put(10, 10, 10)
    for end in (4, 9, 10, 17, 30):
        watch.said.passes(end, delivered=end)
        assert watch.missing() == {"hook": 0}
        assert watch.passed() == end


def test_several_mappings_and_all_outcomes_add_up(watch: Watch) -> None:
    watch.put(10)
    watch.said.passes(10, more=3, delivered=6, filtered=4, waiting=2, dead=1)
    assert watch.missing() == {"hook": 0}


def test_an_event_that_gets_lost_is_told_and_stays_told(watch: Watch) -> None:
    watch.put(10)
    watch.said.passes(10, delivered=9)
    assert watch.missing() == {"hook": 1}
    watch.put(5)
    watch.said.passes(15, delivered=14)
    assert watch.missing() == {"hook": 1}
    (row,) = delivery_rows(watch.store.connection, since=START, unbalanced=True)
    assert (row.destination, row.source, row.passed) == ("hook", "web", 15)
    assert delivery_rows(watch.store.connection, source="other") == []


def test_a_monitor_that_is_behind_compares_later(watch: Watch) -> None:
    watch.put(10)
    watch.said.passes(25, delivered=25)
    assert watch.missing() == {}
    watch.put(20)
    assert watch.missing() == {"hook": 0}


def test_a_destination_that_begins_later_counts_from_there(watch: Watch) -> None:
    watch.put(10, 10)
    watch.said.passes(20, started=10, delivered=10)
    watch.said.passes(20, slug="other", delivered=20)
    assert watch.missing() == {"hook": 0, "other": 0}
    watch.put(30)
    watch.said.passes(50, started=50, delivered=10)  # disabled, then enabled again
    watch.said.passes(50, slug="other", delivered=50)
    assert watch.missing() == {"hook": 0, "other": 0}


def test_what_could_not_be_read_is_not_missing(watch: Watch) -> None:
    watch.put(10, 10, 10)
    watch.said.gaps.append(Gone("hook", 0, 10, 20, "expired", START))
    watch.said.passes(30, delivered=20)
    assert watch.missing() == {"hook": 0}


def test_a_monitor_that_begins_anew_raises_no_alarm(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_KEPT", 1)
    watch.put(*[5] * 10)
    watch.said.passes(50, delivered=50)
    assert watch.missing() == {"hook": 0}
    watch.put(5, 5, 5)
    watch.said.passes(3, slug="late", delivered=3)  # from before what is still known
    assert watch.missing() == {"hook": 0, "late": 0}


def test_a_destination_far_behind_does_not_make_the_list_grow(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_KEPT", 2)
    monkeypatch.setattr(module, "_MOST_ROWS", 10)
    monkeypatch.setattr(module, "_FOLDED_EVENTS", 50)
    watch.put(5, 5)
    watch.said.passes(7, delivered=7)
    assert watch.missing() == {"hook": 0}
    for _ in range(60):
        watch.put(5)
    (rows,) = watch.store.connection.execute("SELECT count(*) FROM ledger_blocks").fetchone()
    assert rows < 20
    watch.said.passes(64, delivered=64)  # within what was folded: waited for
    watch.missing()
    assert watch.passed() == 7
    watch.said.passes(310, delivered=310)
    watch.missing()
    assert watch.missing() == {"hook": 0}
    assert watch.passed() == 310
    assert watch.journals.journal.end(EVENTS, 0) == 310
