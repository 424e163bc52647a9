"""The tables `penstock demo` shows: which query, which columns, how they are written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Literal

from rich.table import Table

from penstock.demo.queries import load_sql
from penstock.errors import DemoError

Query = Callable[[str], tuple[Sequence[str], Sequence[Sequence[Any]]]]
"""Runs one statement of the Redshift dialect; gives the column names and the rows."""

Style = Literal["text", "count", "money", "percent"]

_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a query, and how it is shown."""

    name: str
    header: str
    style: Style = "count"
    summed: bool = True
    """Whether the footer adds it up, in a table that has one."""


@dataclass(frozen=True, slots=True)
class DemoTable:
    """A table of the demo."""

    title: str
    query: str
    """Name of the SQL file, without its suffix."""
    columns: tuple[Column, ...]
    footer: bool = False
    """Whether a last line adds up the rows."""


_FIGURES = (
    Column("store_visits", "Visits"),
    Column("product_views", "Views"),
    Column("orders_completed", "Orders"),
    Column("total_revenue", "Revenue", "money"),
)

TABLES = (
    DemoTable("Campaigns", "campaigns", (Column("campaign", "Campaign", "text"), *_FIGURES)),
    DemoTable(
        "Channels of national-toast-day",
        "channels",
        (Column("utm_medium", "utm_medium", "text"), *_FIGURES),
        footer=True,
    ),
    DemoTable(
        "Return on investment",
        "roi",
        (
            Column("campaign", "Campaign", "text"),
            Column("person_cost", "Person", "money"),
            Column("media_cost", "Media", "money"),
            Column("total_cost", "Cost", "money"),
            Column("revenue", "Revenue", "money"),
            Column("roi_percent", "ROI", "percent"),
        ),
    ),
)


def render(table: DemoTable, query: Query) -> Table:
    """Run the table's query and set its rows for a terminal."""
    names, rows = query(load_sql(table.query))
    places = _places(table, names)
    shown = Table(title=table.title, title_justify="left", show_footer=table.footer)
    for column, place in zip(table.columns, places, strict=True):
        footer = ""
        if table.footer and column.style == "text":
            footer = "Sum"
        elif table.footer and column.summed:
            footer = _written(sum(_number(row[place]) for row in rows), column.style)
        justify: Literal["left", "right"] = "left" if column.style == "text" else "right"
        shown.add_column(column.header, footer, justify=justify, no_wrap=column.style == "text")
    for row in rows:
        cells = zip(table.columns, places, strict=True)
        shown.add_row(*(_written(row[place], column.style) for column, place in cells))
    return shown


def _places(table: DemoTable, names: Sequence[str]) -> list[int]:
    try:
        return [list(names).index(column.name) for column in table.columns]
    except ValueError as error:
        raise DemoError(f"the query {table.query}.sql misses a column: {error}") from error


def _number(value: Any) -> Decimal:
    return Decimal(str(value))


def _written(value: Any, style: Style) -> str:
    if value is None:
        return ""
    if style == "text":
        return str(value)
    if style == "count":
        return f"{int(_number(value)):,}"
    amount = _number(value).quantize(_CENT, ROUND_HALF_UP)
    return f"${amount:,}" if style == "money" else f"{amount} %"
