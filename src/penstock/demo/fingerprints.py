"""What each warehouse table must hold: rows, and for every column a count and a checksum.

The checksum of a column is a sum, so it does not depend on the order of rows, and it can be
written in plain SQL (`checksum_sql`): of a number its hundredths, of an instant its milliseconds
since 2000, of a text the first four hexadecimal digits of its MD5.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Any

from penstock.demo.ledger import ColumnFigures, TableFigures

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_WORD = re.compile(r"[A-Z0-9]*[a-z0-9]*")
_FILLED_BY_COLLECTOR = {"context_ip"}
"""Not in the account: the collector adds the sender's address where a call of a browser has none,
so the column holds more than was sent."""
_PLURAL = {"identify": "identifies", "page": "pages", "screen": "screens"}


@cache
def snake(name: str) -> str:
    """The warehouse's name for a property or an event."""
    return "_".join(word.lower() for word in _WORD.findall(name) if word)


def checksum_sql(column: str, kind: str) -> str:
    """The column's checksum as an expression of the Redshift dialect."""
    quoted = f'"{column}"'
    if kind == "number":
        return f"sum(cast(round({quoted} * 100) as bigint))"
    if kind == "instant":
        return f"sum(datediff('millisecond', '2000-01-01'::timestamp, {quoted}))"
    digits = (
        f"(strpos('0123456789abcdef', substring(md5(cast({quoted} as varchar)), {place}, 1)) - 1)"
        f" * {16 ** (4 - place)}"
        for place in range(1, 5)
    )
    return f"sum({' + '.join(digits)})"


def _measure(value: Any) -> tuple[str, int]:
    """Kind and checksum of one value."""
    if isinstance(value, str):
        return _measure_text(value)
    if isinstance(value, int | float):
        return "number", round(value * 100)
    return _measure_text(_compact(value))


@lru_cache(maxsize=100_000)
def _measure_text(text: str) -> tuple[str, int]:
    if _INSTANT.fullmatch(text):
        since = datetime.fromisoformat(text) - _EPOCH
        return "instant", since // timedelta(milliseconds=1)
    digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    return "text", int(digest[:4], 16)


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        name = f"{prefix}_{snake(key)}" if prefix else snake(key)
        if isinstance(value, Mapping):
            yield from _flatten(value, name)
        elif value is not None:
            yield name, value


def _common(event: Mapping[str, Any]) -> dict[str, Any]:
    row = {
        "id": event["messageId"],
        "anonymous_id": event.get("anonymousId"),
        "user_id": event.get("userId"),
        "timestamp": event["timestamp"],
        **dict(_flatten(event["context"], "context")),
    }
    return {
        name: value
        for name, value in row.items()
        if value is not None and name not in _FILLED_BY_COLLECTOR
    }


@dataclass(slots=True)
class _Column:
    kind: str
    values: int = 0
    checksum: int = 0

    def figures(self) -> ColumnFigures:
        return ColumnFigures(self.kind, self.values, self.checksum)


class Fingerprints:
    """The figures of all tables while events are being sent."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._columns: dict[str, dict[str, _Column]] = {}
        self._users: dict[str, dict[str, tuple[str, str, Any]]] = {}

    def add(self, event: Mapping[str, Any]) -> None:
        """Count one event into the tables it will be loaded into."""
        row = _common(event)
        kind = event["type"]
        if kind == "track":
            row |= {"event": snake(event["event"]), "event_text": event["event"]}
            self._count("tracks", row)
            self._count(row["event"], row | dict(_flatten(event["properties"])))
        elif kind == "identify":
            traits = dict(_flatten(event["traits"]))
            self._count("identifies", row | traits)
            self._merge(event, traits)
        else:
            row |= {"name": event["name"]}
            self._count(_PLURAL[kind], row | dict(_flatten(event["properties"])))

    def close(self) -> dict[str, TableFigures]:
        """The figures, with `users` as the latest identify calls left it."""
        for user_id, traits in self._users.items():
            latest = {name: value for name, (_, _, value) in traits.items()}
            self._count("users", {"id": user_id} | latest)
        self._users = {}
        return {
            table: TableFigures(
                self._rows[table], {name: column.figures() for name, column in columns.items()}
            )
            for table, columns in sorted(self._columns.items())
        }

    def _count(self, table: str, row: Mapping[str, Any]) -> None:
        self._rows[table] = self._rows.get(table, 0) + 1
        columns = self._columns.setdefault(table, {})
        for name, value in row.items():
            kind, checksum = _measure(value)
            column = columns.setdefault(name, _Column(kind))
            if column.kind != kind:
                raise ValueError(f"{table}.{name} is {column.kind} and {kind}")
            column.values += 1
            column.checksum += checksum

    def _merge(self, event: Mapping[str, Any], traits: Mapping[str, Any]) -> None:
        known = self._users.setdefault(event["userId"], {})
        version = (event["timestamp"], event["messageId"])
        for name, value in traits.items():
            if name not in known or known[name][:2] < version:
                known[name] = (*version, value)
