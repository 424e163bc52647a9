"""Everything the warehouse says, against what the simulator wrote down."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from penstock.demo.campaigns import TOAST_DAY
from penstock.demo.fingerprints import checksum_sql
from penstock.demo.ledger import Cost, Customer, Figures, Ledger, Step, TableFigures
from penstock.demo.queries import load_sql
from penstock.demo.tables import Query

SCHEMA = "toastmates"
"""Slug of the demo's source, so the schema of its tables."""

_AVERAGE_TOLERANCE = 1e-6


def compare(ledger: Ledger, query: Query) -> list[str]:
    """What differs between the warehouse and the ledger, a line each; empty when all is equal.

    Rows, and count and checksum of every column sent, of every table; total revenue; and each
    shipped report: campaigns, channels, ROI, funnels, visits by medium, and every buyer's
    recency, frequency and average order. Needs a warehouse with one simulation and nothing else
    in the schema.
    """
    missing = _compare_columns_present(ledger, query)
    if missing:
        return missing
    found = _compare_discards(query)
    for table, figures in ledger.tables.items():
        found += _compare_table(table, figures, query)
    for check in (
        _compare_revenue,
        _compare_campaigns,
        _compare_channels,
        _compare_roi,
        _compare_funnels,
        _compare_visits,
        _compare_visits_by_medium,
        _compare_customers,
        _compare_best_customers,
    ):
        found += check(ledger, query)
    return found


def _compare_columns_present(ledger: Ledger, query: Query) -> list[str]:
    _, rows = query(
        "select table_name, column_name from information_schema.columns "
        f"where table_schema = '{SCHEMA}'"
    )
    present: dict[str, set[str]] = {}
    for table, column in rows:
        present.setdefault(str(table), set()).add(str(column))
    found = []
    for table, figures in ledger.tables.items():
        if table not in present:
            found.append(f"table {table} is missing ({figures.rows} rows were sent)")
        else:
            absent = sorted(set(figures.columns) - present[table])
            found += [f"table {table}: column {column} is missing" for column in absent]
    return found


def _compare_discards(query: Query) -> list[str]:
    _, rows = query(
        "select count(*) from information_schema.tables "
        f"where table_schema = '{SCHEMA}' and table_name = 'discards'"
    )
    if int(rows[0][0]) == 0:
        return []
    _, rows = query(f"select count(*) from {SCHEMA}.discards")
    return _differ("table discards: rows", 0, int(rows[0][0]))


def _compare_table(table: str, figures: TableFigures, query: Query) -> list[str]:
    parts = ["count(*)"]
    for name, column in figures.columns.items():
        parts += [f'count("{name}")', checksum_sql(name, column.kind)]
    _, rows = query(f"select {', '.join(parts)} from {SCHEMA}.{table}")
    values = [int(value or 0) for value in rows[0]]
    found = _differ(f"table {table}: rows", figures.rows, values[0])
    for place, (name, column) in enumerate(figures.columns.items()):
        count, checksum = values[1 + 2 * place : 3 + 2 * place]
        label = f"table {table}: column {name}"
        found += _differ(f"{label}: values", column.values, count)
        if count == column.values and checksum != column.checksum:
            found.append(f"{label}: the values differ from those sent")
    return found


def _compare_revenue(ledger: Ledger, query: Query) -> list[str]:
    _, rows = query(
        "select count(distinct order_id), sum(cast(total as decimal(12, 2))) "
        f"from {SCHEMA}.order_completed"
    )
    orders, revenue = rows[0]
    return _differ("orders", ledger.orders, int(orders)) + _differ(
        "revenue of all orders (cents)", ledger.revenue, _cents(revenue)
    )


def _compare_campaigns(ledger: Ledger, query: Query) -> list[str]:
    return _differ_rows("campaigns", ledger.campaigns, _figures("campaigns", "campaign", query))


def _compare_channels(ledger: Ledger, query: Query) -> list[str]:
    sent = ledger.channels[TOAST_DAY.name]
    return _differ_rows("channels", sent, _figures("channels", "utm_medium", query))


def _figures(name: str, key: str, query: Query) -> dict[str, Figures]:
    return {
        str(row[key]): Figures(
            int(row["store_visits"]),
            int(row["product_views"]),
            int(row["orders_completed"]),
            _cents(row["total_revenue"]),
        )
        for row in _records(name, query)
    }


def _compare_roi(ledger: Ledger, query: Query) -> list[str]:
    wanted = {
        name: (cost.person, cost.media, cost.total, revenue, _roi(cost, revenue))
        for name, cost in ledger.costs.items()
        for revenue in [ledger.campaigns[name].revenue]
    }
    amounts = ("person_cost", "media_cost", "total_cost", "revenue", "roi_percent")
    got = {
        str(row["campaign"]): tuple(_cents(row[amount]) for amount in amounts)
        for row in _records("roi", query)
    }
    return _differ_rows("roi", wanted, got)


def _roi(cost: Cost, revenue: int) -> int:
    """Return on investment in hundredths of a percent."""
    return _cents(Decimal(100 * (revenue - cost.total)) / cost.total)


def _compare_funnels(ledger: Ledger, query: Query) -> list[str]:
    found = []
    for name, steps in ledger.funnels.items():
        rows = _records(f"coupon_funnel_{name}", query)
        got = tuple(Step(str(row["event"]), int(row["users"])) for row in rows)
        found += _differ(f"coupon funnel {name}", steps, got)
    return found


def _compare_visits(ledger: Ledger, query: Query) -> list[str]:
    got: dict[str, list[int]] = {}
    for row in _records("campaign_visits", query):
        counts = got.setdefault(str(row["campaign"]), [0, 0])
        counts[0] += row["store_visited"] is not None
        counts[1] += row["product_viewed"] is not None
    wanted = {name: [sent.visits, sent.views] for name, sent in ledger.campaigns.items()}
    return _differ_rows("campaign visits", wanted, got)


def _compare_visits_by_medium(ledger: Ledger, query: Query) -> list[str]:
    wanted = {
        f"{day} {medium}": visits for (day, medium), visits in ledger.visits_by_medium.items()
    }
    got = {
        f"{str(row['visit_day'])[:10]} {row['utm_medium']}": int(row["store_visits"])
        for row in _records("visits_by_medium", query)
    }
    return _differ_rows("visits by medium", wanted, got)


def _compare_customers(ledger: Ledger, query: Query) -> list[str]:
    wanted = {customer.email: _rfm(ledger, customer) for customer in ledger.customers.values()}
    rows = _records("rfm", query)
    got = {str(row["email"]): _rfm_row(row) for row in rows}
    averages = {str(row["email"]): float(row["average_transaction_size"]) for row in rows}
    found = _differ("rfm: rows", len(wanted), len(rows)) + _differ_rows("rfm", wanted, got)
    for customer in ledger.customers.values():
        average = customer.total / customer.orders / 100
        shown = averages.get(customer.email, average)
        if abs(shown - average) > _AVERAGE_TOLERANCE:
            found += _differ(f"rfm: {customer.email}: average order", average, shown)
    return found


def _compare_best_customers(ledger: Ledger, query: Query) -> list[str]:
    wanted = {ledger.customers[user_id].email for user_id in ledger.best_customers}
    first = {str(row["email"]) for row in _records("rfm", query)[: len(wanted)]}
    return _differ("rfm: the best customers", sorted(wanted), sorted(first))


def _rfm(ledger: Ledger, customer: Customer) -> tuple[int, int, int]:
    return (
        customer.orders,
        (ledger.as_of - customer.last).days,
        (ledger.as_of - customer.first).days,
    )


def _rfm_row(row: Mapping[str, Any]) -> tuple[int, int, int]:
    return (
        int(row["frequency"]),
        int(row["days_since_last_transaction"]),
        int(row["days_since_first_transaction"]),
    )


def _records(name: str, query: Query) -> list[dict[str, Any]]:
    names, rows = query(load_sql(name))
    return [dict(zip(names, row, strict=True)) for row in rows]


def _cents(amount: Any) -> int:
    return int((Decimal(str(amount or 0)) * 100).to_integral_value(ROUND_HALF_UP))


def _differ(label: str, wanted: object, got: object) -> list[str]:
    return [] if wanted == got else [f"{label}: {got}, but {wanted} sent"]


def _differ_rows(label: str, wanted: Mapping[str, Any], got: Mapping[str, Any]) -> list[str]:
    found = []
    for key in sorted(wanted.keys() | got.keys()):
        found += _differ(f"{label}: {key}", wanted.get(key), got.get(key))
    return found
