"""compare() notices every event that is lost, doubled or changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from penstock.demo import SCHEMA, Simulation, compare
from tests.demo.warehouse import Warehouse

City = tuple[Simulation, Warehouse]


@contextmanager
def changed(warehouse: Warehouse, *statements: str) -> Iterator[None]:
    """Run statements against the warehouse, and undo them afterwards."""
    warehouse.connection.execute("begin")
    try:
        for statement in statements:
            warehouse.connection.execute(statement)
        yield
    finally:
        warehouse.connection.execute("rollback")


@pytest.mark.parametrize(
    ("table", "where"),
    [
        ("pages", "context_campaign_name is null"),
        ("screens", "name = 'Order Tracker'"),
        ("product_viewed", "user_id is null"),
        ("order_completed", "coupon = 'TOASTDAY'"),
        ("identifies", "true"),
    ],
)
def test_a_lost_event(one: City, table: str, where: str) -> None:
    simulation, warehouse = one
    statement = (
        f"delete from {SCHEMA}.{table} where id = "
        f"(select min(id) from {SCHEMA}.{table} where {where})"
    )
    with changed(warehouse, statement):
        found = compare(simulation.ledger, warehouse.query)

    rows = simulation.ledger.tables[table].rows
    assert f"table {table}: rows: {rows - 1}, but {rows} sent" in found


@pytest.mark.parametrize("table", ["tracks", "experiment_viewed"])
def test_a_doubled_event(one: City, table: str) -> None:
    simulation, warehouse = one
    statement = (
        f"insert into {SCHEMA}.{table} select * from {SCHEMA}.{table} "
        f"where id = (select min(id) from {SCHEMA}.{table})"
    )
    with changed(warehouse, statement):
        assert compare(simulation.ledger, warehouse.query)


def test_one_event_twice_and_another_lost(one: City) -> None:
    simulation, warehouse = one
    first = f"(select min(id) from {SCHEMA}.email_opened)"
    last = f"(select max(id) from {SCHEMA}.email_opened)"
    with changed(
        warehouse,
        f"delete from {SCHEMA}.email_opened where id = {last}",
        f"insert into {SCHEMA}.email_opened select * from {SCHEMA}.email_opened where id = {first}",
    ):
        found = compare(simulation.ledger, warehouse.query)

    assert "table email_opened: column id: the values differ from those sent" in found


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("order_completed", "total = total + 0.01"),
        ("order_completed", "products = replace(products, 'The', 'the')"),
        ("tracks", '"timestamp" = "timestamp" + interval 1 millisecond'),
        ("pages", "context_user_agent = null"),
        ("users", "email = 'someone@else.example'"),
        ("product_added", "user_id = 'x'"),
    ],
)
def test_an_altered_event(one: City, table: str, change: str) -> None:
    simulation, warehouse = one
    statement = (
        f"update {SCHEMA}.{table} set {change} where id = (select max(id) from {SCHEMA}.{table})"
    )
    with changed(warehouse, statement):
        assert compare(simulation.ledger, warehouse.query)


def test_a_missing_table_and_column(one: City) -> None:
    simulation, warehouse = one
    with changed(
        warehouse,
        f"drop table {SCHEMA}.order_refunded",
        f"alter table {SCHEMA}.pages drop column context_campaign_content",
    ):
        found = compare(simulation.ledger, warehouse.query)

    rows = simulation.ledger.tables["order_refunded"].rows
    assert sorted(found) == [
        f"table order_refunded is missing ({rows} rows were sent)",
        "table pages: column context_campaign_content is missing",
    ]


def test_a_discard(one: City) -> None:
    simulation, warehouse = one
    with changed(warehouse, f"create table {SCHEMA}.discards as select 'x' as table_name"):
        assert compare(simulation.ledger, warehouse.query) == [
            "table discards: rows: 1, but 0 sent"
        ]


def test_an_address_filled_in_by_the_collector_is_no_difference(one: City) -> None:
    simulation, warehouse = one
    statement = f"update {SCHEMA}.tracks set context_ip = '192.0.2.1' where context_ip is null"
    with changed(warehouse, statement):
        assert compare(simulation.ledger, warehouse.query) == []
