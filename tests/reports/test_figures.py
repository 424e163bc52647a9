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
    assert "shop.pages.context_campaign_medium" in answer.missing


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
