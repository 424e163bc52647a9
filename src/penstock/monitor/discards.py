"""Values that no column could hold, as the warehouse's ``discards`` tables list them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Discarded", "discards_lately", "discards_of"]

Ask = Callable[[str], "pa.Table"]
_MOST = 100


@dataclass(frozen=True)
class Discarded:
    """Values of one column that were left out for one reason."""

    source: str
    table: str
    column: str
    reason: str
    """type, collision, reserved, unnameable or precision; see the warehouse reference."""
    count: int
    last_at: str
    """When the newest event with one was loaded, ISO-8601 in UTC."""
    last_message_id: str


def discards_lately(ask: Ask, since: datetime) -> list[Discarded]:
    """What was left out of events loaded since a moment, most frequent first; a hundred at most.

    Raises PenstockError when the warehouse does not answer.
    """
    sources = _sources(ask)
    if not sources:
        return []
    each = [
        f"SELECT {_text(source)} AS source, table_name, column_name, reason, count(*) AS n, "
        f"max(loaded_at) AS last_at, max_by(row_id, loaded_at) AS last_id "
        f"FROM {_name(source)}.discards WHERE loaded_at >= {_moment(since)} GROUP BY ALL"
        for source in sources
    ]
    rows = ask(f"{' UNION ALL '.join(each)} ORDER BY n DESC, 1, 2, 3, 4 LIMIT {_MOST}").to_pylist()
    return [
        Discarded(
            row["source"],
            row["table_name"] or "",
            row["column_name"] or "",
            row["reason"] or "",
            row["n"],
            row["last_at"].replace(tzinfo=UTC).isoformat(timespec="milliseconds"),
            row["last_id"] or "",
        )
        for row in rows
    ]


def discards_of(
    ask: Ask, source: str, message_ids: Iterable[str], since: datetime
) -> dict[str, list[tuple[str, str]]]:
    """(column, reason) of each value left out, by messageId, of events received since a moment.

    Raises PenstockError when the warehouse does not answer.
    """
    if source not in _sources(ask):
        return {}
    listed = ", ".join(map(_text, message_ids))
    rows = ask(
        f"SELECT DISTINCT row_id, column_name, reason FROM {_name(source)}.discards "
        f"WHERE received_at >= {_moment(since)} AND row_id IN ({listed}) ORDER BY ALL"
    ).to_pylist()
    found: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        found.setdefault(row["row_id"], []).append((row["column_name"], row["reason"]))
    return found


def _sources(ask: Ask) -> list[str]:
    rows = ask("SELECT schema_name FROM duckdb_tables() WHERE table_name = 'discards' ORDER BY 1")
    return [str(name) for name in rows.column(0).to_pylist()]


def _text(value: str) -> str:
    return "'" + value.replace("'", "''").replace("\0", "") + "'"


def _name(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


def _moment(moment: datetime) -> str:
    text = moment.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="seconds")
    return f"TIMESTAMP '{text}'"
