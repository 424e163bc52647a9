"""What loading a chunk means for each table: new columns, widened ones, arrays to append."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from penstock.warehouses.staging import (
    EXTRA_COLUMNS,
    TIMES,
    Column,
    Discard,
    SourceStage,
    TableStage,
)
from penstock.warehouses.types import ARROW, Kind, Resolved, compact, infer, resolve

__all__ = ["MAX_COLUMNS", "OVERFLOW", "TablePlan", "plan_source", "standard_columns"]

MAX_COLUMNS = 1_600
OVERFLOW = "_overflow"
_BASE = ("id", "anonymous_id", "user_id")
_LOAD_TIMES = ("uuid_ts", "loaded_at")
_US = pa.timestamp("us")
TableTypes = dict[str, Kind]
Known = Callable[[str], TableTypes | None]


def standard_columns(call: str) -> TableTypes:
    """The columns that a call's table always has."""
    columns = dict.fromkeys(_BASE, Kind.VARCHAR)
    columns |= dict.fromkeys(EXTRA_COLUMNS[call], Kind.VARCHAR)
    columns |= dict.fromkeys((*TIMES, *_LOAD_TIMES), Kind.TIMESTAMP)
    return columns


@dataclass
class TablePlan:
    """One table's part of a chunk."""

    table: str
    types: TableTypes
    """All columns after this chunk."""
    create: bool = False
    added: TableTypes = field(default_factory=dict)
    widened: list[str] = field(default_factory=list)
    """Columns that go from BIGINT to DOUBLE."""
    rows: pa.Table | None = None
    discards: list[Discard] = field(default_factory=list)

    def type_of(self, column: str, first: Any, max_columns: int) -> Kind | None:
        """The column's type, adding the column when it is new; None when there is no room."""
        kind = self.types.get(column)
        if kind is None:
            room = len(self.types) - (OVERFLOW in self.types) < max_columns
            if not room:
                return None
            kind = self.types[column] = self.added[column] = infer(first)
        return kind

    def widen(self, column: str) -> None:
        """The column must hold fractions from now on."""
        self.types[column] = Kind.DOUBLE
        if column in self.added:
            self.added[column] = Kind.DOUBLE
        else:
            self.widened.append(column)

    def need_overflow(self) -> None:
        """Give the table its column for what has none."""
        if OVERFLOW not in self.types:
            self.types[OVERFLOW] = self.added[OVERFLOW] = Kind.JSON


def new_plan(table: str, known: TableTypes | None, standard: TableTypes) -> TablePlan:
    """A plan for a table that exists, or that this chunk creates."""
    if known is None:
        return TablePlan(table, dict(standard), create=True)
    return TablePlan(table, dict(known))


def plan_source(
    stage: SourceStage, known: Known, room: int, max_columns: int = MAX_COLUMNS
) -> list[TablePlan]:
    """Plans for every table of a source but ``users``, ``accounts`` and ``discards``.

    ``room`` is how many event tables may still be created; events beyond it are in ``tracks``.
    """
    plans = []
    parts = []
    for part in stage.tracks.values():
        if part.own_table and known(part.table) is None:
            if room <= 0:
                part = part.without_table()
            room -= 1
        standard = _standard_arrays(part)
        parts.append((part, standard))
        if part.own_table:
            plans.append(_plan_table(part, standard, known(part.table), max_columns))
        else:
            plans.append(TablePlan("", {}, discards=[*part.discards(), *standard.discards]))
    if parts:
        plans.append(_plan_tracks(parts, known("tracks"), max_columns))
    for part in stage.calls.values():
        plans.append(_plan_table(part, _standard_arrays(part), known(part.table), max_columns))
    return plans


@dataclass
class _Standard:
    arrays: dict[str, pa.Array]
    discards: list[Discard]


def _standard_arrays(stage: TableStage) -> _Standard:
    names = (*_BASE, *TIMES, *EXTRA_COLUMNS[stage.call])
    columns = dict(zip(names, zip(*stage.standard, strict=True), strict=True))
    arrays: dict[str, pa.Array] = {}
    discards: list[Discard] = []
    for name, values in columns.items():
        if name in ("received_at", "timestamp"):
            arrays[name] = _instants(values)
        elif name in TIMES:
            resolved = resolve(list(values), Kind.TIMESTAMP)
            arrays[name] = resolved.array
            discards += _refused(stage, stage.discard_table, name, resolved)
        else:
            arrays[name] = resolve(list(values), Kind.VARCHAR).array
    return _Standard(arrays, discards)


def _instants(values: tuple[str, ...]) -> pa.Array:
    """Instants in our own writing, which need no check."""
    return pa.array(values, pa.string()).cast(pa.timestamp("us", "UTC")).cast(_US)


def _refused(stage: TableStage, table: str, column: str, resolved: Resolved) -> list[Discard]:
    return [
        (table, stage.standard[row][0], column, value, reason, stage.standard[row][3])
        for row, value, reason in resolved.refused
    ]


def _first(stage: TableStage, column: Column) -> tuple[int, Any] | None:
    """(load order, value) of the first value that is not null."""
    for row, value in enumerate(column.values):
        if value is not None:
            return stage.sequences[row], value
    return None


def _plan_table(
    stage: TableStage, standard: _Standard, known: TableTypes | None, max_columns: int
) -> TablePlan:
    plan = new_plan(stage.table, known, standard_columns(stage.call))
    plan.discards += stage.discards()
    plan.discards += standard.discards
    rows = len(stage.standard)
    arrays = dict(standard.arrays)
    found = [(first, column) for column in stage.columns.values()
             if (first := _first(stage, column)) is not None]  # fmt: skip
    found.sort(key=lambda pair: (pair[0][0], pair[1].name))
    for (_, value), column in found:
        kind = plan.type_of(column.name, value, max_columns)
        if kind is None:
            for row, held in enumerate(column.values):
                if held is not None:
                    stage.overflow.setdefault(row, {})[column.name] = held
            continue
        resolved = column.resolved = resolve(column.padded(rows), kind)
        if resolved.kind is not kind:
            plan.widen(column.name)
        plan.discards += _refused(stage, stage.table, column.name, resolved)
        arrays[column.name] = resolved.array
    if stage.overflow:
        plan.need_overflow()
        arrays[OVERFLOW] = _overflow_array(stage.overflow, rows)
    plan.rows = pa.table(arrays)
    return plan


def _overflow_array(overflow: dict[int, dict[str, Any]], rows: int) -> pa.Array:
    texts = [compact(overflow[row]) if row in overflow else None for row in range(rows)]
    return pa.array(texts, pa.string())


def _plan_tracks(
    parts: list[tuple[TableStage, _Standard]], known: TableTypes | None, max_columns: int
) -> TablePlan:
    """``tracks`` is all event tables together, without properties; arrays are shared."""
    plan = new_plan("tracks", known, standard_columns("track"))
    stages = [stage for stage, _ in parts]
    arrays: dict[str, pa.ChunkedArray] = {}
    for name in (*_BASE, *TIMES, *EXTRA_COLUMNS["track"]):
        arrays[name] = pa.chunked_array([standard.arrays[name] for _, standard in parts])
    overflow: list[dict[int, dict[str, Any]]] = [
        {} if stage.own_table else dict(stage.overflow) for stage in stages
    ]
    for name, first in _context_columns(stages):
        kind = plan.type_of(name, first, max_columns)
        if kind is None:
            plan.discards += _to_overflow(stages, name, overflow)
            continue
        resolved = _resolve_parts(stages, name, kind)
        if resolved[0].kind is not kind:
            plan.widen(name)
        for stage, part in zip(stages, resolved, strict=True):
            plan.discards += _refused(stage, "tracks", name, part)
        arrays[name] = pa.chunked_array([part.array for part in resolved])
    if any(overflow):
        plan.need_overflow()
        arrays[OVERFLOW] = pa.chunked_array(
            [
                _overflow_array(values, len(stage.standard))
                for stage, values in zip(stages, overflow, strict=True)
            ]
        )
    plan.rows = pa.table(arrays)
    return plan


def _context_columns(stages: list[TableStage]) -> list[tuple[str, Any]]:
    """(name, first value) of the context columns of all stages, in the order they appear."""
    found: dict[str, tuple[int, Any]] = {}
    for stage in stages:
        for column in stage.columns.values():
            if not column.context:
                continue
            first = _first(stage, column)
            if first is not None and (column.name not in found or first[0] < found[column.name][0]):
                found[column.name] = first
    return [
        (name, first[1]) for name, first in sorted(found.items(), key=lambda i: (i[1][0], i[0]))
    ]


def _to_overflow(
    stages: list[TableStage], name: str, overflow: list[dict[int, dict[str, Any]]]
) -> list[Discard]:
    """Put a context column without room into ``_overflow``; a property of that name wins."""
    discards: list[Discard] = []
    for stage, values in zip(stages, overflow, strict=True):
        column = stage.columns.get(name)
        for row, value in enumerate(column.values if column else []):
            if value is None:
                continue
            held = values.get(row, {})
            if name in held:
                standard = stage.standard[row]
                discards.append(("tracks", standard[0], name, value, "collision", standard[3]))
            else:
                values[row] = {**held, name: value}
    return discards


def _resolve_parts(stages: list[TableStage], name: str, kind: Kind) -> list[Resolved]:
    """One column of ``tracks``, a part for each stage, all of one type."""
    while True:
        parts = []
        for stage in stages:
            rows = len(stage.standard)
            column = stage.columns.get(name)
            if column is None:
                parts.append(Resolved(kind, pa.nulls(rows, ARROW[kind])))
            elif (
                column.resolved is not None
                and column.resolved.kind is kind
                and not column.resolved.refused
            ):
                parts.append(column.resolved)
            else:
                parts.append(resolve(column.padded(rows), kind))
        wider = next((part.kind for part in parts if part.kind is not kind), None)
        if wider is None:
            return parts
        kind = wider
