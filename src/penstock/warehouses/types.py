"""Types of warehouse columns: which one a value asks for, and what a column can hold.

The rules are written down in ``docs/decisions/0002-warehouse-details.md``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["ARROW", "HugeNumber", "Kind", "Resolved", "infer", "parse_date", "resolve", "text"]


class Kind(StrEnum):
    """The types a column can have, by their DuckDB names."""

    BOOLEAN = "BOOLEAN"
    BIGINT = "BIGINT"
    DOUBLE = "DOUBLE"
    TIMESTAMP = "TIMESTAMP"
    VARCHAR = "VARCHAR"
    JSON = "JSON"


ARROW: dict[Kind, pa.DataType] = {
    Kind.BOOLEAN: pa.bool_(),
    Kind.BIGINT: pa.int64(),
    Kind.DOUBLE: pa.float64(),
    Kind.TIMESTAMP: pa.timestamp("us"),
    Kind.VARCHAR: pa.string(),
    Kind.JSON: pa.string(),
}
"""How a column travels to the engine; JSON as its text."""


class HugeNumber(str):
    """A JSON number beyond the range of a double, as its text."""

    __slots__ = ()


_NONE = type(None)
_LEAST, _GREATEST = -(2**63), 2**63 - 1
_EXACT = 2**63
_YEAR = r"(?:[1-9]\d{3}|0[1-9]\d{2}|00[1-9]\d|000[1-9])"
_DAY = _YEAR + r"-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?"
_ZONE = r"(?:Z|[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?)"
_DATE_ONLY = re.compile(_DAY, re.ASCII)
_DATE_TIME = re.compile(rf"{_DAY}[T ]{_CLOCK}{_ZONE}", re.ASCII)
_RE2_DATE_TIME = f"^{_DAY}[T ]{_CLOCK}{_ZONE}$"
_FIRST_US, _LAST_US = -62_135_596_800_000_000, 253_402_300_799_999_999
_encode = msgspec.json.Encoder().encode


def parse_date(value: str) -> datetime | None:
    """The naive UTC instant of a full ISO-8601 date-time with offset, or of a date; else None."""
    if len(value) < 10 or not "0" <= value[0] <= "9" or value[4] != "-":
        return None
    if not (_DATE_TIME.fullmatch(value) or _DATE_ONLY.fullmatch(value)):
        return None
    try:
        instant = datetime.fromisoformat(value)
        return instant.astimezone(UTC).replace(tzinfo=None) if instant.tzinfo else instant
    except (ValueError, OverflowError):
        return None


def infer(value: Any) -> Kind:
    """The type of a column whose first value this is; the value is not None."""
    kind = type(value)
    if kind is str:
        return Kind.TIMESTAMP if parse_date(value) is not None else Kind.VARCHAR
    if kind is bool:
        return Kind.BOOLEAN
    if kind is int:
        if _LEAST <= value <= _GREATEST:
            return Kind.BIGINT
        return Kind.VARCHAR if _double(value) is None else Kind.DOUBLE
    if kind is float:
        return Kind.BIGINT if value.is_integer() and abs(value) < _EXACT else Kind.DOUBLE
    if kind is HugeNumber:
        return Kind.VARCHAR
    return Kind.JSON


def text(value: Any) -> str:
    """A value as it stands in ``discards`` and in text columns: text itself, else compact JSON."""
    return str(value) if isinstance(value, str) else compact(value)


def compact(value: Any) -> str:
    """Compact JSON, with numbers of any size as they are."""
    if isinstance(value, HugeNumber):
        return str(value)
    if isinstance(value, list):
        try:
            return _encode(value).decode()
        except (OverflowError, TypeError, ValueError):
            return "[" + ",".join(map(compact, value)) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{compact(k)}:{compact(v)}" for k, v in value.items()) + "}"
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return _encode(value).decode()


def _double(value: int) -> float | None:
    try:
        return float(value)
    except OverflowError:
        return None


@dataclass(slots=True)
class Resolved:
    """A column of a chunk, ready to load."""

    kind: Kind
    """The type the column must have; DOUBLE where it was BIGINT means that it widens."""
    array: pa.Array
    refused: list[tuple[int, Any, str]] = field(default_factory=list)
    """(index, value, reason) for ``discards``; ``precision`` values are in the array as well."""


def resolve(values: list[Any], kind: Kind) -> Resolved:
    """Make an array of values in a column of this type, widening BIGINT when one asks for it."""
    array = _fast(values, kind)
    if array is not None:
        return Resolved(kind, array)
    if kind is Kind.BIGINT and any(_widens(value) for value in values):
        return resolve(values, Kind.DOUBLE)
    refused: list[tuple[int, Any, str]] = []
    held: list[Any] = []
    hold = _HOLDERS[kind]
    for index, value in enumerate(values):
        if value is None:
            held.append(None)
            continue
        kept, reason = hold(value)
        held.append(kept)
        if reason:
            refused.append((index, value, reason))
    return Resolved(kind, pa.array(held, ARROW[kind]), refused)


def _fast(values: list[Any], kind: Kind) -> pa.Array | None:
    """The array when every value fits as it is; None asks for the exact, slower way."""
    kinds = set(map(type, values))
    kinds.discard(_NONE)
    try:
        match kind:
            case Kind.VARCHAR if kinds <= {str}:
                return pa.array(values, pa.string())
            case Kind.BIGINT if kinds <= {int}:
                return pa.array(values, pa.int64())
            case Kind.DOUBLE if kinds <= {int, float}:
                return pa.array(values, pa.float64())
            case Kind.BOOLEAN if kinds <= {bool}:
                return pa.array(values, pa.bool_())
            case Kind.TIMESTAMP if kinds <= {str}:
                return _timestamps(pa.array(values, pa.string()))
            case Kind.JSON if kinds <= {list}:
                return pa.array(
                    [None if v is None else _encode(v).decode() for v in values], pa.string()
                )
    except (pa.ArrowInvalid, OverflowError, UnicodeEncodeError, TypeError, ValueError):
        return None
    return None


def _timestamps(texts: pa.Array) -> pa.Array | None:
    matched = pc.all(pc.match_substring_regex(texts, _RE2_DATE_TIME)).as_py()
    if matched is False:
        return None
    instants = texts.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us"))
    bounds = pc.min_max(instants.cast(pa.int64())).as_py()
    if bounds["min"] is not None and not _FIRST_US <= bounds["min"] <= bounds["max"] <= _LAST_US:
        return None  # an offset leads out of the years 1 to 9999
    return instants


def _widens(value: Any) -> bool:
    kind = type(value)
    if kind is float:
        return not (value.is_integer() and abs(value) < _EXACT)
    return kind is int and not _LEAST <= value <= _GREATEST and _double(value) is not None


def _hold_bigint(value: Any) -> tuple[Any, str]:
    if type(value) is int and _LEAST <= value <= _GREATEST:
        return value, ""
    if type(value) is float:
        return int(value), ""
    return None, "type"


def _hold_double(value: Any) -> tuple[Any, str]:
    if type(value) is float:
        return value, ""
    if type(value) is not int:
        return None, "type"
    double = _double(value)
    if double is None:
        return None, "type"
    return double, "" if int(double) == value else "precision"


def _hold_boolean(value: Any) -> tuple[Any, str]:
    return (value, "") if type(value) is bool else (None, "type")


def _hold_timestamp(value: Any) -> tuple[Any, str]:
    instant = parse_date(value) if type(value) is str else None
    return instant, "" if instant is not None else "type"


def _hold_text(value: Any) -> tuple[Any, str]:
    return text(value).encode("utf-8", "replace").decode(), ""


def _hold_json(value: Any) -> tuple[Any, str]:
    return compact(value).encode("utf-8", "replace").decode(), ""


_HOLDERS = {
    Kind.BIGINT: _hold_bigint,
    Kind.DOUBLE: _hold_double,
    Kind.BOOLEAN: _hold_boolean,
    Kind.TIMESTAMP: _hold_timestamp,
    Kind.VARCHAR: _hold_text,
    Kind.JSON: _hold_json,
}
