"""The guides' figures, and campaigns and funnels against obviously right counting."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import duckdb
import pytest
import sqlglot

from penstock.demo import simulate
from penstock.errors import ConfigurationError
from penstock.reports.campaigns import Campaigns, campaigns
from penstock.reports.contract import read_catalog, records
from penstock.reports.funnel import Funnel, Step, funnel
from tests.demo.warehouse import Warehouse

START = datetime(2026, 1, 1, tzinfo=None)  # noqa: DTZ001 - as the warehouse keeps UTC
SHOP = ("shop",)
SITE = ("toastmates",)


class Database:
    """A warehouse with one schema, ``shop``."""

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        self.connection.execute("create schema shop")

    def __call__(self, sql: str, /) -> tuple[Sequence[str], Sequence[Sequence[Any]]]:
        cursor = self.connection.execute(sql)
        return [column[0] for column in cursor.description or ()], cursor.fetchall()

    def fill(self, table: str, columns: str, rows: Sequence[tuple[Any, ...]]) -> None:
        self.connection.execute(
            f"create table shop.{table} (id varchar, user_id varchar, anonymous_id varchar, "
            f'"timestamp" timestamp{columns})'
        )
        for number, row in enumerate(rows):
            marks = ", ".join("?" for _ in range(len(row) + 1))
            self.connection.execute(
                f"insert into shop.{table} values ({marks})", [f"{table}{number}", *row]
            )


@pytest.fixture(scope="module")
def demo() -> Any:
    simulation = simulate(1, 1.0, as_of=date(2026, 3, 1))
    connection = Warehouse(simulation.events).connection

    def store(sql: str, /) -> tuple[Sequence[str], Sequence[Sequence[Any]]]:
        cursor = connection.execute(sql)
        return [column[0] for column in cursor.description or ()], cursor.fetchall()

    return store


def _figures(row: dict[str, Any]) -> tuple[int, int, int, str]:
    return row["visitors"], row["viewers"], row["orders"], str(row["revenue"])


def test_campaigns_and_channels_of_the_guide(demo: Any) -> None:
    catalog = read_catalog(demo)
    rows = records(demo, campaigns(Campaigns(SITE, url="toastmates.com/store"), catalog))
    assert [_figures(row) for row in rows] == [
        (689, 435, 239, "3100.37"), (1382, 734, 318, "3824.68"),
    ]  # fmt: skip
    asked = Campaigns(SITE, ("medium",), "national-toast-day", "toastmates.com/store")
    channels = {row["medium"]: _figures(row) for row in records(demo, campaigns(asked, catalog))}
    assert channels == {
        "paid-social": (91, 14, 11, "341.32"),
        "organic-social": (43, 14, 10, "211.46"),
        "display": (41, 12, 6, "89.79"),
        "news": (166, 92, 43, "510.34"),
        "email": (348, 303, 169, "1947.46"),
    }


def test_funnels_of_the_guide(demo: Any) -> None:
    coupon = (("campaign_id", "coupon-loyalty"),)
    shopping = (
        Step("screens", (("name", "Main Landing Screen"),)),
        Step("product_added"),
        Step("order_completed"),
    )
    assigned = Step(
        "experiment_viewed", (("experiment_id", "coupon-loyalty"), ("variation_id", "control"))
    )
    control = Funnel(SITE, shopping, after=assigned)
    emailed = Funnel(
        SITE, (Step("email_delivered", coupon), Step("email_opened", coupon), *shopping)
    )
    counts = [
        [row["people"] for row in records(demo, funnel(asked, read_catalog(demo)))]
        for asked in (control, emailed)
    ]
    assert counts == [[233, 98, 66], [758, 560, 168, 134, 95]]


def test_rows_are_not_multiplied() -> None:
    store = Database()
    at = [START + timedelta(hours=hour) for hour in range(8)]
    tags = ", url varchar, context_campaign_name varchar"
    visits = [("u1", None, at[0], "/store", "toast"), ("u1", None, at[1], "/store", "toast"),
              ("u2", None, at[0], "/store", "toast")]  # fmt: skip
    store.fill("pages", tags, visits)
    store.fill("product_viewed", "", [("u1", None, at[hour]) for hour in (2, 3, 4)])
    orders = [("u1", None, at[5], "o1", 20.0), ("u1", None, at[6], "o2", 30.0),
              ("u1", None, at[7], "o2", 30.0)]  # fmt: skip
    store.fill("order_completed", ", order_id varchar, total double", orders)
    answer = campaigns(Campaigns(SHOP), read_catalog(store))
    assert records(store, answer) == [
        {"campaign": "toast", "visits": 3, "visitors": 2, "views": 3, "viewers": 1, "orders": 2,
         "buyers": 1, "revenue": pytest.approx(50)}
    ]  # fmt: skip
    assert answer.missing == ()
    assert campaigns(Campaigns(SHOP, ("medium",)), read_catalog(store)).missing == (
        "shop.pages.context_campaign_medium",
    )


@pytest.mark.parametrize(
    ("kinds", "orders", "told"),
    [
        ("order_id bigint, total double", [(7, 20.0), (7, 20.0), (None, 5.0)], (2, "25.00")),
        ("order_id varchar, total varchar", [("a", "20.50"), ("b", "free")], (2, "20.50")),
        ("order_id varchar, total double", [("a", float("nan")), ("b", 1e30), ("c", 3)],
         (3, "3.00")),
        ("order_id varchar, total double", [("a", 9e15), ("b", 9e15)], (2, "18000000000000000.00")),
    ],
)  # fmt: skip
def test_what_anybody_may_send_does_not_stop_the_report(
    kinds: str, orders: list[tuple[Any, ...]], told: tuple[int, str]
) -> None:
    store = Database()
    store.fill("pages", ", url bigint, context_campaign_name varchar", [
        ("u1", None, START, 5, "toast"), ("u1", None, START, 5, ""),
    ])  # fmt: skip
    store.fill("order_completed", f", {kinds}", [("u1", None, START, *row) for row in orders])
    catalog = read_catalog(store)
    (row,) = records(store, campaigns(Campaigns(SHOP, url="5"), catalog))
    assert (row["campaign"], row["orders"], str(row["revenue"])) == ("toast", *told)


def test_campaigns_with_numbers_for_names() -> None:
    store = Database()
    store.fill("pages", ", context_campaign_name bigint", [("u1", None, START, 2026)])
    counts = [
        len(records(store, campaigns(Campaigns(SHOP, campaign=name), read_catalog(store))))
        for name in ("toast", "2026")
    ]
    assert counts == [0, 1]


def test_a_row_counts_an_order_once_however_many_campaigns_it_holds() -> None:
    store = Database()
    day = timedelta(days=1)
    tags = ", context_campaign_name varchar, context_campaign_medium varchar"
    visits = [("a", "email"), ("b", "email"), ("b", "news"), ("c", None), ("d", None)]
    store.fill("pages", tags, [("u1", None, START, *visit) for visit in visits])
    store.fill("order_completed", ", order_id varchar, total double",
               [("u1", None, START + day, "o1", 10)])  # fmt: skip
    rows = records(store, campaigns(Campaigns(SHOP, ("medium",)), read_catalog(store)))
    got = {row["medium"]: (row["visits"], row["visitors"], row["orders"]) for row in rows}
    assert got == {"email": (2, 1, 1), "news": (1, 1, 1), None: (2, 1, 1)}
    asked = Campaigns(SHOP, ("medium",), campaign="b")
    of_one = records(store, campaigns(asked, read_catalog(store)))
    assert [(row["medium"], row["visits"], row["orders"]) for row in of_one] == [("email", 2, 1)]


@pytest.mark.parametrize("kind", ["double", "bigint", "varchar", "decimal(9, 1)"])
def test_values_of_a_step_are_found_in_columns_of_any_type(kind: str) -> None:
    store = Database()
    store.fill("one", f", total {kind}", [("u1", None, START, 20), ("u2", None, START, 21)])
    steps = [Step("one", (("total", value), ("user_id", "u1"))) for value in ("20", "20.0", "21")]
    found = [
        records(store, funnel(Funnel(SHOP, (step,)), read_catalog(store)))[0]["people"]
        for step in steps
    ]
    assert found == [1, 1, 0]
    misspelt = funnel(Funnel(SHOP, (Step("one", (("totl", "20"),)),)), read_catalog(store))
    assert misspelt.missing == ("shop.one.totl",)


def test_somebody_with_very_many_events_does_not_stop_a_funnel() -> None:
    """A join of all pairs of one person's events would take minutes and gigabytes."""
    store = Database()
    for table in ("one", "two"):
        store.fill(table, "", [])
        store.connection.execute(
            f"insert into shop.{table} select i, 'robot', null, "
            f"timestamp '2026-01-01' + to_seconds(i % 90000) from range(300000) r(i)"
        )
    answer = funnel(Funnel(SHOP, (Step("one"), Step("two"))), read_catalog(store))
    assert [row["people"] for row in records(store, answer)] == [1, 1]


def test_an_empty_warehouse_and_wrong_questions() -> None:
    store = Database()
    answer = campaigns(Campaigns(SHOP), read_catalog(store))
    assert records(store, answer) == []
    assert "shop.pages" in answer.missing
    with pytest.raises(ConfigurationError, match="colour"):
        campaigns(Campaigns(SHOP, ("colour",)), {})
    with pytest.raises(ConfigurationError, match="step"):
        funnel(Funnel(SHOP, ()), {})


def test_identities() -> None:
    store = Database()
    day = timedelta(days=1)
    store.fill("identifies", "", [("u1", "a1", START + 3 * day)])
    store.fill("first", "", [(None, "a1", START)])
    store.fill("second", "", [("u1", None, START + day)])
    steps = (Step("first"), Step("second"))
    resolved = records(store, funnel(Funnel(SHOP, steps), read_catalog(store)))
    raw = records(store, funnel(Funnel(SHOP, steps, identity="raw"), read_catalog(store)))
    assert [row["people"] for row in resolved] == [1, 1]
    assert [row["people"] for row in raw] == [1, 0]


@pytest.mark.parametrize("seed", range(8))
def test_funnels_against_brute_force(seed: int) -> None:
    """Ties, repeats and events exactly at the end of the window."""
    rng = random.Random(seed)
    log = [
        (rng.choice(("one", "two", "three")), f"u{rng.randrange(25)}", rng.randrange(0, 12))
        for _ in range(200)
    ]
    store = Database()
    tables = ("one", "two", "three")
    for table in tables:
        rows = [(who, None, START + timedelta(days=day)) for kind, who, day in log if kind == table]
        store.fill(table, "", rows)
    asked = Funnel(SHOP, tuple(map(Step, tables)), window_days=4)
    got = [row["people"] for row in records(store, funnel(asked, read_catalog(store)))]
    assert got == [
        sum(_takes(log, who, tables[:depth], None, None) for who in {who for _, who, _ in log})
        for depth in (1, 2, 3)
    ]


def _takes(
    log: Sequence[tuple[str, str, int]], who: str, steps: Sequence[str],
    began: int | None, last: int | None,
) -> bool:  # fmt: skip
    """Whether any choice of events is the steps, each later, within four days of the first."""
    if not steps:
        return True
    return any(
        _takes(log, who, steps[1:], day if began is None else began, day)
        for kind, person, day in log
        if kind == steps[0] and person == who
        and (last is None or day > last) and (began is None or day < began + 4)
    )  # fmt: skip


@pytest.mark.parametrize("dialect", ["redshift", "postgres", "snowflake", "bigquery"])
def test_the_sql_has_other_dialects(dialect: str) -> None:
    asked = funnel(Funnel(SHOP, (Step("one"), Step("two"))), {})
    for answer in (campaigns(Campaigns(SHOP), {}), asked):
        written = sqlglot.transpile(answer.sql, read="duckdb", write=dialect)
        assert len(sqlglot.parse(written[0], read=dialect)) == 1
