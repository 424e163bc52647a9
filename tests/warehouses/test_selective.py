"""What a warehouse takes, and how a table is filled later."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from penstock.errors import ConfigurationError
from penstock.events.model import Record
from penstock.journal.contract import EVENTS, NewBlock
from penstock.journal.sqlite import SqliteJournal
from penstock.warehouses.backfill import Backfills
from penstock.warehouses.duckdb import DuckDbWarehouse
from penstock.warehouses.loader import Loader
from penstock.warehouses.selective import SelectiveSync, SourceSync, compile_sync
from penstock.warehouses.wire import Wanted

SECOND_US = 1_000_000


def record(number: int, event: str = "Tea", *, source: str = "web", **fields: Any) -> Record:
    content = {
        "type": "track", "messageId": f"m{number}", "userId": "u1", "event": event,
        "receivedAt": "2026-01-01T00:00:00Z", "timestamp": "2026-01-01T00:00:00Z",
        "properties": {"cups": number, "price": {"net": 1, "tax": 2}},
        "context": {"ip": "192.0.2.1", "locale": "en"}, **fields,
    }  # fmt: skip
    if content["type"] != "track":
        del content["event"]
    return Record(source, f"m{number}", number * SECOND_US, json.dumps(content).encode())


class Setup:
    def __init__(self, folder: Path) -> None:
        self.rules: dict[str, SelectiveSync] = {}
        self.journal = SqliteJournal(folder / "journal")
        self.file = folder / "w.duckdb"
        self.open()

    def open(self) -> None:
        self.warehouse = DuckDbWarehouse(self.file, threads=1, selective=lambda: self.rules)
        self.loader = Loader(self.journal, self.warehouse, chunk=100)
        self.backfills = Backfills(self.journal, self.warehouse)

    def sync(self, **sources: SourceSync) -> None:
        self.rules = compile_sync(sources)

    def write(self, *events: Record) -> None:
        writer = self.journal.writer(EVENTS, 0)
        writer.append([NewBlock(msgspec.msgpack.encode(events), len(events))])
        writer.close()
        while self.loader.step():
            pass

    def fill(self, table: str, **wanted: Any) -> list[tuple[Any, ...]]:
        number = self.backfills.begin(Wanted("web", table, **wanted))
        while self.backfills.step():
            pass
        return self.rows(f"select added, state from penstock.backfills where id = {number}")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.warehouse.connection.cursor().execute(sql).fetchall()

    def tables(self) -> set[str]:
        return {
            name
            for (name,) in self.rows(
                "select table_name from information_schema.tables where table_schema = 'web'"
            )
        }


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(tmp_path)


def test_events_calls_and_sources_are_left_out_and_counted(setup: Setup) -> None:
    setup.sync(web=SourceSync(without_events=["Toast", "$page"]), app=SourceSync(enabled=False))
    setup.write(
        record(1), record(2, "Toast"), record(3, type="page"), record(4, type="identify"),
        record(5, source="app"), record(6, source="shop"),
    )  # fmt: skip
    assert setup.tables() == {"tea", "tracks", "identifies", "users"}
    assert setup.rows("select loaded, filtered from penstock.progress") == [(3, 3)]
    told = "select source, sum(loaded), sum(filtered) from penstock.ledger group by 1 order by 1"
    assert setup.rows(told) == [("app", 0, 1), ("shop", 1, 0), ("web", 2, 2)]


def test_properties_are_left_out_for_an_event_and_for_all(setup: Setup) -> None:
    paths = {"Tea": ["properties.price.tax"], "*": ["context.ip"], "$identify": ["traits.email"]}
    setup.sync(web=SourceSync(without_properties=paths))
    setup.write(
        record(1), record(2, "Toast"),
        record(3, type="identify", traits={"email": "a@example.com", "plan": "pro"}),
    )  # fmt: skip

    def columns(table: str) -> set[str]:
        sql = f"select column_name from information_schema.columns where table_name = '{table}'"
        return {name for (name,) in setup.rows(sql)}

    assert {"cups", "price_net", "context_locale"} <= columns("tea")
    assert not {"price_tax", "context_ip"} & columns("tea")
    assert "price_tax" in columns("toast")
    assert "context_ip" not in columns("toast")
    assert "plan" in columns("users") and "email" not in columns("users") | columns("identifies")


@pytest.mark.parametrize(
    ("sync", "says"),
    [
        (SourceSync(without_events=["$view"]), "no such call"),
        (SourceSync(without_properties={"Tea": ["price"]}), "properties.…"),
        (SourceSync(without_properties={"Tea": ["properties"]}), "properties.…"),
    ],
)
def test_what_can_not_be_meant_is_refused(sync: SourceSync, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as refused:
        compile_sync({"web": sync})
    assert str(refused.value).startswith("sources.web: ")


def test_a_gap_is_filled_once_and_nothing_else_changes(setup: Setup) -> None:
    setup.write(record(1))
    setup.sync(web=SourceSync(without_events=["Tea"]))
    setup.write(record(2), record(3, "Toast"), record(4))
    setup.sync()
    setup.write(record(5))
    before = setup.rows("select * from penstock.ledger"), setup.rows("select id from web.tracks")
    assert setup.fill("tea") == [(2, "done")]
    assert setup.rows("select id, cups from web.tea order by 1") == [
        ("m1", 1), ("m2", 2), ("m4", 4), ("m5", 5),
    ]  # fmt: skip
    assert setup.fill("tea") == [(0, "done")]
    assert before == (
        setup.rows("select * from penstock.ledger"),
        setup.rows("select id from web.tracks"),
    )
    assert setup.fill("tracks", since_us=3 * SECOND_US) == [(1, "done")]
    assert setup.rows("select id from web.tracks order by 1") == [
        ("m1",),
        ("m3",),
        ("m4",),
        ("m5",),
    ]


def test_a_dropped_table_comes_back_with_its_discards_once(setup: Setup) -> None:
    odd = record(2, properties={"cups": "many"})
    setup.write(record(1), odd, record(3))
    discards = "select row_id, reason from web.discards"
    assert len(setup.rows(discards)) == 1
    setup.warehouse.connection.execute("drop table web.tea")
    setup.warehouse.close()
    setup.open()
    assert setup.fill("tea") == [(3, "done")]
    assert setup.rows("select id, cups from web.tea order by 1") == [
        ("m1", 1), ("m2", None), ("m3", 3),
    ]  # fmt: skip
    assert setup.fill("tea") == [(0, "done")]
    assert len(setup.rows(discards)) == 2


def test_users_are_filled_without_overwriting_what_is_newer(setup: Setup) -> None:
    setup.sync(web=SourceSync(without_properties={"$identify": ["traits.plan"]}))
    old = record(1, type="identify", traits={"plan": "free", "city": "Rome"})
    setup.write(old)
    setup.sync()
    newer = record(2, type="identify", traits={"plan": "pro"}, timestamp="2026-01-02T00:00:00Z")
    setup.write(newer)
    setup.fill("users")
    assert setup.rows("select id, plan, city from web.users") == [("u1", "pro", "Rome")]


def test_a_job_goes_on_after_a_restart(setup: Setup) -> None:
    setup.sync(web=SourceSync(without_events=["Tea"]))
    setup.write(*(record(number) for number in range(1, 20)))
    setup.sync()
    setup.backfills.begin(Wanted("web", "tea"))
    setup.warehouse.close()
    setup.open()
    while setup.backfills.step():
        pass
    assert setup.rows("select count(*) from web.tea") == [(19,)]
    assert setup.rows("select added, state from penstock.backfills") == [(19, "done")]


def test_an_unknown_table_gets_nothing(setup: Setup) -> None:
    setup.write(record(1))
    assert setup.fill("nothing_like_it") == [(0, "done")]
    assert setup.tables() == {"tea", "tracks"}
