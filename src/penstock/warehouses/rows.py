"""The rows of a result as Python values, CSV and JSON: exact numbers, and every time there is."""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta
from typing import Any

import msgspec
import pyarrow as pa

__all__ = ["as_csv", "count_values", "encode_values", "plain", "python_values", "told_apart"]

encode_values = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode
"""JSON with exact numbers; NaN and infinities are null."""

_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_CYCLE_DAYS, _CYCLE_YEARS = 146_097, 400
"""The calendar repeats itself."""


def count_values(table: pa.Table) -> int:
    """How many Python values a table becomes, those within lists and structs too."""
    return sum(_count(chunk) for column in table.columns for chunk in column.chunks)


def _count(array: Any) -> int:
    kind = array.type
    if pa.types.is_struct(kind):
        parts = [array.field(number) for number in range(kind.num_fields)]
    elif pa.types.is_nested(kind) and not pa.types.is_union(kind):
        parts = [array.values]
    else:
        parts = []
    return len(array) + sum(map(_count, parts))


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
        return encode_values(value).decode()
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    return str(value)


def as_csv(result: pa.Table) -> bytes:
    """A head of names, then a line for each row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(result.column_names)
    columns = [python_values(column) for column in result.columns]
    writer.writerows([plain(value) for value in row] for row in zip(*columns, strict=True))
    return text.getvalue().encode(errors="replace")


def told_apart(result: pa.Table) -> pa.Table:
    """The same columns, a second one of a name being called ``name_1``."""
    names: list[str] = []
    for name in result.column_names:
        unique, number = name, 0
        while unique in names:
            number += 1
            unique = f"{name}_{number}"
        names.append(unique)
    return result.rename_columns(names)
