"""``users`` and ``accounts``: the latest value of each column.

A column's value is that of the call with the greatest (timestamp, messageId) that mentioned it,
whatever the order of loading. The version of each column is kept in ``penstock.versions``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pyarrow as pa

from penstock.warehouses.plan import OVERFLOW, TablePlan, TableTypes, new_plan
from penstock.warehouses.staging import Mention
from penstock.warehouses.types import ARROW, HugeNumber, Kind, compact, resolve

__all__ = [
    "Merged",
    "StoredRow",
    "decode_overflow",
    "decode_versions",
    "encode_versions",
    "merge",
    "upsert_columns",
]

Version = tuple[str, str]


def upsert_columns() -> TableTypes:
    """The columns that ``users`` and ``accounts`` always have."""
    times = dict.fromkeys(("received_at", "uuid_ts", "loaded_at"), Kind.TIMESTAMP)
    return {"id": Kind.VARCHAR, **times}


@dataclass
class StoredRow:
    """What the warehouse knows of one row before the chunk."""

    versions: dict[str, Version] = field(default_factory=dict)
    overflow: dict[str, Any] = field(default_factory=dict)


@dataclass
class Merged:
    """What a chunk changes in ``users`` or ``accounts``."""

    plan: TablePlan
    """``rows`` has ``id``, ``received_at``, each changed column and ``<column>__set``."""
    changed: list[str]
    """Columns that at least one row changes."""
    versions: dict[str, dict[str, Version]]
    """All versions of each row touched."""


def merge(
    table: str,
    mentions: list[Mention],
    known: TableTypes | None,
    stored: Callable[[list[str]], dict[str, StoredRow]],
    max_columns: int,
) -> Merged:
    """Decide what each row becomes. ``stored`` gives the rows that exist, by id."""
    plan = new_plan(table, known, upsert_columns())
    values, over = _typed(plan, mentions, max_columns)
    ids = list(dict.fromkeys(mention.key for mention in mentions))
    rows = stored(ids)
    winners: dict[str, dict[str, Any]] = {key: {} for key in ids}
    overflow: dict[str, dict[str, Any]] = {}
    versions = {key: dict(rows[key].versions) if key in rows else {} for key in ids}
    received: dict[str, str] = {}
    for mention, typed in zip(mentions, values, strict=True):
        key = mention.key
        received[key] = max(received.get(key, ""), mention.received_at)
        for column, value in typed.items():
            if mention.version < versions[key].get(column, ("", "")):
                continue
            versions[key][column] = mention.version
            if column in over:
                row = overflow.setdefault(key, dict(rows[key].overflow) if key in rows else {})
                row[column] = value
            elif column in plan.types:
                winners[key][column] = value
    if over:
        plan.need_overflow()
    for key, row in overflow.items():
        held = {column: value for column, value in row.items() if value is not None}
        winners[key][OVERFLOW] = compact(held) if held else None
    changed = list(dict.fromkeys(column for row in winners.values() for column in row))
    plan.rows = _rows(plan, ids, winners, received, changed)
    return Merged(plan, changed, versions)


def _typed(
    plan: TablePlan, mentions: list[Mention], max_columns: int
) -> tuple[list[dict[str, Any]], set[str]]:
    """The values of each mention as their columns hold them, and the columns without room.

    A value that its column can't hold is left out and discarded. A null for a column that does
    not exist is kept, because it outranks values that are older but arrive later.
    """
    first: dict[str, Any] = {}
    for mention in mentions:
        for column, value in sorted(mention.values.items()):
            if value is not None and column not in first:
                first[column] = value
    typed = [
        {column: None for column in mention.values if column not in first} for mention in mentions
    ]
    over: set[str] = set()
    for column, value in first.items():
        kind = plan.type_of(column, value, max_columns)
        places = [index for index, mention in enumerate(mentions) if column in mention.values]
        if kind is None:
            over.add(column)
            for index in places:
                typed[index][column] = mentions[index].values[column]
        else:
            _type_column(plan, column, kind, [(mentions[i], typed[i]) for i in places])
    return typed, over


def _type_column(
    plan: TablePlan, column: str, kind: Kind, places: list[tuple[Mention, dict[str, Any]]]
) -> None:
    """Put one column's values into what each mention becomes."""
    resolved = resolve([mention.values[column] for mention, _ in places], kind)
    if resolved.kind is not kind:
        plan.widen(column)
    unheld = set()
    for place, value, reason in resolved.refused:
        if reason != "type":
            continue  # recorded for the call's own table
        unheld.add(place)
        mention = places[place][0]
        plan.discards.append((plan.table, mention.key, column, value, reason, mention.received_at))
    for place, value in enumerate(resolved.array.to_pylist()):
        if place not in unheld:
            places[place][1][column] = value


def _rows(
    plan: TablePlan,
    ids: list[str],
    winners: dict[str, dict[str, Any]],
    received: dict[str, str],
    changed: list[str],
) -> pa.Table:
    arrays: dict[str, pa.Array] = {
        "id": pa.array(ids, pa.string()),
        "received_at": pa.array([received[key] for key in ids], pa.string()).cast(
            pa.timestamp("us")
        ),
    }
    for column in changed:
        held = [winners[key].get(column) for key in ids]
        arrays[column] = pa.array(held, ARROW[plan.types[column]])
        arrays[f"{column}__set"] = pa.array([column in winners[key] for key in ids], pa.bool_())
    return pa.table(arrays)


def encode_versions(versions: dict[str, Version]) -> str:
    """Versions as text: {"timestamp|messageId": [columns]}."""
    grouped: dict[str, list[str]] = {}
    for column, (moment, message_id) in versions.items():
        grouped.setdefault(f"{moment}|{message_id}", []).append(column)
    return msgspec.json.encode(grouped).decode()


def decode_versions(text: str) -> dict[str, Version]:
    """Versions by column."""
    grouped: dict[str, list[str]] = msgspec.json.decode(text)
    versions: dict[str, Version] = {}
    for version, columns in grouped.items():
        moment, _, message_id = version.partition("|")
        for column in columns:
            versions[column] = (moment, message_id)
    return versions


def decode_overflow(text: str | None) -> dict[str, Any]:
    """The ``_overflow`` object of a row, its values as they stand there."""
    if text is None:
        return {}
    fields = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    return {key: _value(raw) for key, raw in fields.items()}


def _value(raw: msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except msgspec.ValidationError:
        return HugeNumber(bytes(raw).decode())
