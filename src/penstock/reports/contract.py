"""What every report is asked with, and where it reads: any warehouse that answers SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Answer", "Catalog", "Identity", "Store", "read_catalog", "records"]

Identity = Literal["resolved", "raw"]
"""Who a person is: ``raw``: the user id or else the anonymous id of the event itself;
``resolved``: the user an anonymous id was identified with, too."""
Catalog = Mapping[str, Mapping[str, frozenset[str]]]
"""Columns by table by schema."""


Store = Callable[[str], tuple[Sequence[str], Sequence[Sequence[Any]]]]
"""Runs one statement in DuckDB's dialect; gives the names of the columns, and the rows."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The statement behind a report, and which tables or columns it did without."""

    sql: str
    missing: tuple[str, ...]
    """``schema.table`` or ``schema.table.column``, each treated as empty."""


def read_catalog(store: Store) -> Catalog:
    """The tables there are."""
    _, rows = store("select table_schema, table_name, column_name from information_schema.columns")
    found: dict[str, dict[str, set[str]]] = {}
    for schema, table, column in rows:
        found.setdefault(str(schema), {}).setdefault(str(table), set()).add(str(column))
    return {
        schema: {table: frozenset(columns) for table, columns in tables.items()}
        for schema, tables in found.items()
    }


def records(store: Store, answer: Answer) -> list[dict[str, Any]]:
    """The rows of a report, by name of column."""
    names, rows = store(answer.sql)
    return [dict(zip(names, row, strict=True)) for row in rows]
