"""``penstock report``: figures by command, right where a join would count twice."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from penstock.events.model import Record
from penstock.warehouses.duckdb import DuckDbWarehouse
from tests.cli.conftest import RECEIVED_US, Run

TOAST = {"name": "toast", "medium": "email", "source": "customer.io"}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """One person with two visits, three views and two orders, and one with a visit."""
    folder = tmp_path / "shop"
    folder.mkdir()
    calls: list[tuple[str, str, int, dict[str, Any], dict[str, Any]]] = [
        ("page", "u1", 0, {"url": "https://shop.test/store"}, {"campaign": TOAST}),
        ("page", "u1", 1, {"url": "https://shop.test/store"}, {"campaign": TOAST}),
        ("page", "u2", 2, {"url": "https://shop.test/store"}, {"campaign": TOAST}),
        *[("Product Viewed", "u1", hour, {}, {}) for hour in (3, 4, 5)],
        ("Order Completed", "u1", 6, {"order_id": "a", "total": 20, "coupon": "x"}, {}),
        ("Order Completed", "u1", 7, {"order_id": "b", "total": 30}, {}),
    ]
    warehouse = DuckDbWarehouse(folder / "warehouse.duckdb", threads=1)
    records = [_record(number, *call) for number, call in enumerate(calls)]
    warehouse.load(warehouse.prepare(records), part=0, following=len(records))
    warehouse.close()
    return folder


def _record(
    number: int,
    name: str,
    user: str,
    hour: int,
    properties: dict[str, Any],
    context: dict[str, Any],
) -> Record:
    event = {
        "type": "page" if name == "page" else "track", "messageId": f"m{number}", "userId": user,
        "properties": properties, "context": context, "timestamp": f"2026-01-05T{hour:02}:00:00Z",
        "receivedAt": "2026-01-05T10:00:00Z",
    }  # fmt: skip
    if name != "page":
        event["event"] = name
    return Record("shop", f"m{number}", RECEIVED_US, json.dumps(event).encode())


def test_campaigns_count_each_thing_once(run: Run, shop: Path) -> None:
    done = run("report", "campaigns", "--data", shop, "--format", "json")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.text) == [
        {"campaign": "toast", "visits": 3, "visitors": 2, "views": 3, "viewers": 1, "orders": 2,
         "buyers": 1, "revenue": 50.0}
    ]  # fmt: skip


def test_channels_as_a_table_and_as_csv(run: Run, shop: Path) -> None:
    table = run("report", "channels", "--data", shop)
    assert table.code == 0
    assert table.text.splitlines()[0].startswith("campaign │ medium │ visits")
    rows = run("report", "channels", "--data", shop, "--format", "csv").text
    ((_, medium, *figures),) = list(csv.reader(io.StringIO(rows)))[1:]
    assert (medium, figures[0], figures[4]) == ("email", "3", "2")
    none = run("report", "channels", "--campaign", "other", "--data", shop)
    assert (none.code, none.err) == (0, "no rows\n")


def test_a_funnel_with_a_step_that_has_values(run: Run, shop: Path) -> None:
    done = run("report", "funnel", "pages", "Product Viewed", "Order Completed[coupon=x, total=20]",
               "--data", shop, "--format", "json")  # fmt: skip
    assert [row["people"] for row in json.loads(done.text)] == [2, 1, 1]
    after = run("report", "funnel", "Product Viewed", "--after", "Order Completed", "--data", shop,
                "--format", "json")  # fmt: skip
    assert [row["people"] for row in json.loads(after.text)] == [0]


def test_what_is_not_there_is_named_and_empty(run: Run, shop: Path) -> None:
    done = run("report", "funnel", "pages", "Never Sent", "--data", shop, "--format", "json")
    assert [row["people"] for row in json.loads(done.text)] == [2, 0]
    assert done.err == "no table shop.never_sent yet: it counts as empty\n"
    typo = run("report", "funnel", "Order Completed[copuon=x]", "--data", shop)
    assert typo.err == "no column shop.order_completed.copuon yet: it counts as empty\n"


def test_the_statement_behind_the_figures(run: Run, shop: Path) -> None:
    done = run("report", "campaigns", "--explain", "--data", shop)
    connection = duckdb.connect(shop / "warehouse.duckdb", read_only=True)
    assert connection.execute(done.text).fetchall()[0][:2] == ("toast", 3)
    connection.close()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("campaigns", "--source", "nope"), "no events of nope; of these: shop"),
        (("campaigns", "--by", "colour"), "can't be grouped by colour"),
        (("funnel", "[a=b]"), "write a step as"),
        (("funnel", "X[a]"), "'a' is no column=value"),
        (("funnel", "!?"), "can't be the name of an event"),
        (("campaigns", "--window", "0"), "greater than or equal to 1"),
        (("campaigns", "--window", "99999999"), "less than or equal to 36500"),
    ],
)
def test_what_can_not_be_meant(run: Run, shop: Path, arguments: tuple[str, ...], told: str) -> None:
    done = run("report", *arguments, "--data", shop)
    assert done.code in (1, 2)
    assert told in " ".join(done.err.replace("│", " ").split())
