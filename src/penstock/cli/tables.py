"""Rows as text, for a terminal and for a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import msgspec
import pyarrow as pa
from rich.cells import cell_len

__all__ = ["as_table", "plain", "python_values"]

_BETWEEN = " │ "
_encode = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode


_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_CYCLE_DAYS, _CYCLE_YEARS = 146_097, 400
"""The calendar repeats itself."""


def python_values(column: pa.ChunkedArray, between: str = " ") -> list[Any]:
    """The values of a column; times that Python has no value for are text.

    Those are infinite times, times beyond the years 1 to 9999, and those with nanoseconds.
    ``between`` stands in the text between day and time.
    """
    try:
        return list(column.to_pylist())
    except (OverflowError, ValueError):
        return [_python_value(scalar, between) for scalar in column]


def _python_value(scalar: Any, between: str) -> Any:
    try:
        return scalar.as_py()
    except (OverflowError, ValueError):
        kind = scalar.type
        if pa.types.is_struct(kind):
            return {name: _python_value(value, between) for name, value in scalar.items()}
        if pa.types.is_nested(kind) and scalar.values is not None:
            return [_python_value(value, between) for value in scalar.values]
        if pa.types.is_date32(kind):
            return _infinite(scalar.value, 31) or _day(scalar.value)
        if pa.types.is_timestamp(kind):
            return _infinite(scalar.value, 63) or _moment(scalar.value, kind, between)
        if pa.types.is_time(kind):
            return _time(scalar.value, kind.unit)
        raise


def _infinite(value: int, bits: int) -> str | None:
    most: int = 2**bits - 1
    return {most: "infinity", -most: "-infinity"}.get(value)


def _moment(value: int, kind: Any, between: str) -> str:
    day, rest = divmod(value, 86_400 * _PER_SECOND[kind.unit])
    zone = "" if kind.tz is None else "Z" if between == "T" else "+00:00"
    text, *era = _day(day).split(" ")
    return " ".join([f"{text}{between}{_time(rest, kind.unit)}{zone}", *era])


def _day(days: int) -> str:
    """A day by its distance from 1970."""
    cycles, rest = divmod(days, _CYCLE_DAYS)
    day = date(1970, 1, 1) + timedelta(days=rest)
    year = day.year + cycles * _CYCLE_YEARS
    if year > 0:
        return f"{year:04}-{day:%m-%d}"
    return f"{1 - year:04}-{day:%m-%d} (BC)"


def _time(value: int, unit: str) -> str:
    """A time of day, by its distance from midnight."""
    seconds, rest = divmod(value, _PER_SECOND[unit])
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{rest:0{len(str(_PER_SECOND[unit])) - 1}}" if rest else text


def plain(value: Any) -> str:
    """A value as text: nothing for null, true and false in small letters, JSON for a list."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return _encode(value).decode()
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    return str(value)


def as_table(
    names: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    right: Sequence[bool] = (),
    width: int | None = None,
) -> str:
    """Lines of text under column names; without names there is no head.

    ``right`` says which columns are aligned to the right. When a table would be wider than
    ``width``, each row becomes a record of its own: a line for each column.
    """
    head = [_lines(name) for name in names]
    cells = [[_lines(plain(value)) for value in row] for row in rows]
    count = len(names) or (len(rows[0]) if rows else 0)
    grid = [head, *cells] if names else cells
    widths = [max((_width(row[i]) for row in grid), default=0) for i in range(count)]
    if width is not None and names and sum(widths) + len(_BETWEEN) * (count - 1) > width:
        return _records(head, cells)
    sides = [*right, *[False] * (count - len(right))]
    lines = [line for row in cells for line in _row(row, widths, sides)]
    if names:
        lines = [*_row(head, widths, sides), "─┼─".join("─" * wide for wide in widths), *lines]
    return "".join(f"{line}\n" for line in lines)


def _row(row: list[list[str]], widths: list[int], right: list[bool]) -> list[str]:
    """The lines of one row; as many as its tallest cell has."""
    lines = []
    for number in range(max(map(len, row), default=0)):
        parts = []
        for cell, wide, to_right in zip(row, widths, right, strict=True):
            text = cell[number] if number < len(cell) else ""
            space = " " * (wide - cell_len(text))
            parts.append(space + text if to_right else text + space)
        lines.append(_BETWEEN.join(parts).rstrip())
    return lines


def _records(head: list[list[str]], cells: list[list[list[str]]]) -> str:
    wide = max(_width(name) for name in head)
    lines = []
    for number, row in enumerate(cells, 1):
        lines.append(f"── row {number} ──")
        for name, cell in zip(head, row, strict=True):
            lines += _row([name, cell], [wide, 0], [False, False])
    return "".join(f"{line}\n" for line in lines)


def _lines(text: str) -> list[str]:
    """The lines of a cell; what would move the cursor or change its colour is shown as code."""
    return [
        "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
        for line in text.split("\n")
    ]


def _width(lines: list[str]) -> int:
    return max(map(cell_len, lines))
