"""Assertions about what a loader left in DuckDB."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

import duckdb

from .warehouse import JsonText, ReferenceTable, ReferenceWarehouse, same_json

Row: TypeAlias = dict[str, object]


def assert_same(
    reference: ReferenceWarehouse, connection: duckdb.DuckDBPyConnection, schema: str
) -> None:
    """Fail unless the schema holds the tables, columns, types and rows of the reference.

    `uuid_ts` and `loaded_at` must exist, with any values; the order of columns and rows is free.
    """
    expected = reference.rows(schema)
    actual = _read_schema(connection, schema)
    problem = next(_differences(expected, actual), None)
    if problem is not None:
        raise AssertionError(f"schema {schema}: {problem}")


def _read_schema(connection: duckdb.DuckDBPyConnection, schema: str) -> dict[str, ReferenceTable]:
    """Every table of the schema, with all its columns."""
    columns = connection.execute(
        "SELECT table_name, column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = ? AND table_catalog = current_database()"
        " ORDER BY table_name, ordinal_position",
        [schema],
    ).fetchall()
    types: dict[str, dict[str, str]] = {}
    for table, column, data_type in columns:
        types.setdefault(table, {})[column] = data_type
    tables = {}
    for table, of_columns in types.items():
        names = ", ".join(_quoted(column) for column in of_columns)
        found = connection.execute(
            f"SELECT {names} FROM {_quoted(schema)}.{_quoted(table)}"
        ).fetchall()
        rows: list[Row] = [dict(zip(of_columns, row, strict=True)) for row in found]
        tables[table] = ReferenceTable(of_columns, rows)
    return tables


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _differences(
    expected: dict[str, ReferenceTable], actual: dict[str, ReferenceTable]
) -> Iterator[str]:
    for name in sorted(expected.keys() | actual.keys()):
        if name not in actual:
            yield f"table {name} is missing; {len(expected[name].rows)} rows expected"
        elif name not in expected:
            yield f"table {name} must not exist; it has {len(actual[name].rows)} rows"
        else:
            for problem in _table_differences(name, expected[name], actual[name]):
                yield f"table {name}: {problem}"


def _table_differences(
    name: str, expected: ReferenceTable, actual: ReferenceTable
) -> Iterator[str]:
    clocks = {"loaded_at"} if name == "discards" else {"loaded_at", "uuid_ts"}
    types = expected.types | dict.fromkeys(clocks, "TIMESTAMP")
    for column in sorted(types.keys() | actual.types.keys()):
        if column not in actual.types:
            yield f"column {column} is missing; {types[column]} expected"
        elif column not in types:
            yield f"column {column} must not exist; it is {actual.types[column]}"
        elif types[column] != actual.types[column]:
            yield f"column {column} is {actual.types[column]}; {types[column]} expected"
    found = [
        {column: value for column, value in row.items() if column not in clocks}
        for row in actual.rows
    ]
    yield from _row_differences(expected.rows, found)


def _row_differences(expected: list[Row], found: list[Row]) -> Iterator[str]:
    """Pair the rows off. Those without JSON text are the pickiest, so they choose first."""
    left = list(found)
    missing: list[Row] = []
    for row in sorted(expected, key=_has_json_text):
        twin = next((i for i, other in enumerate(left) if not _unequal_columns(row, other)), None)
        if twin is None:
            missing.append(row)
        else:
            del left[twin]
    for row in missing:
        if left:
            closest = min(left, key=lambda other: _distance(row, other))
            differing = _unequal_columns(row, closest)
            cells = "; ".join(
                f"{column} is {closest.get(column)!r}, expected {row.get(column)!r}"
                for column in differing
            )
            yield f"no such row: {row!r}\n  closest row differs in {cells}"
        else:
            yield f"row is missing: {row!r}"
    for row in left:
        yield f"row must not exist: {row!r}"


def _has_json_text(row: Row) -> bool:
    return any(isinstance(value, JsonText) for value in row.values())


def _distance(row: Row, other: Row) -> tuple[bool, int]:
    identity = "row_id" if "row_id" in row else "id"
    return row[identity] != other.get(identity), len(_unequal_columns(row, other))


def _unequal_columns(expected: Row, found: Row) -> list[str]:
    columns = [*expected, *(column for column in found if column not in expected)]
    return [column for column in columns if not _same(expected.get(column), found.get(column))]


def _same(expected: object, found: object) -> bool:
    if isinstance(expected, JsonText):
        return isinstance(found, str) and (found == expected or same_json(found, expected))
    return type(expected) is type(found) and expected == found


# Nothing lost. From here on nothing of the reference is used: what was sent is looked for, not
# worked out.

Meaning: TypeAlias = tuple[str, object]


class _Literal(str):
    """A JSON number as written."""

    __slots__ = ()


def assert_nothing_lost(
    event_json_list: Sequence[bytes],
    connection: duckdb.DuckDBPyConnection,
    schema: str,
    warehouse_id: str = "warehouse",
) -> None:
    """Fail unless each value of each loaded event is in a cell or a discard of that event.

    Each cell and each discard answers for one value only. For a track call the event table (with
    the discards under its name) must hold everything, and `tracks` what isn't a property.
    `users`, `accounts` are not looked at: they forget by design.
    """
    rows: dict[str, dict[str, Row]] = {}
    discards: list[Row] = []
    for name, table in _read_schema(connection, schema).items():
        if name == "discards":
            discards = table.rows
        elif name not in ("users", "accounts"):
            for row in table.rows:
                rows.setdefault(str(row["id"]), {})[name] = row

    for event_json in event_json_list:
        event = _parse(event_json.decode())
        if not _goes_to(event, warehouse_id):
            continue
        message_id = event["messageId"]
        homes = rows.get(message_id, {})
        own = {name: row for name, row in homes.items() if name != "tracks"} or homes
        if len(own) != 1:
            raise AssertionError(f"event {message_id} has rows in {sorted(homes)}: {event_json!r}")
        common, body = _common_values(event), _body_values(event)
        for name, row in homes.items():
            sent = [*common, *body] if name in own else common
            under = {name, *own}
            texts = [
                discard["column_value"]
                for discard in discards
                if discard["row_id"] == message_id and discard["table_name"] in under
            ]
            lost = _first_unanswered(sent, [*_cells(event, row), *texts])
            if lost is not None:
                raise AssertionError(
                    f"event {message_id}: {lost[0]} = {lost[1]!r} is neither in"
                    f" {schema}.{name} nor in discards\n  event: {event_json!r}\n  row: {row!r}"
                    f"\n  discards: {texts!r}"
                )


def _parse(text: str) -> Any:
    return _clean(json.loads(text, parse_int=_Literal, parse_float=_Literal))


def _clean(value: Any) -> Any:
    """Each lone surrogate becomes U+FFFD."""
    if isinstance(value, _Literal):
        return value
    if isinstance(value, str):
        return "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in value)
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    return value


def _goes_to(event: Any, warehouse_id: str) -> bool:
    flag = (event.get("integrations") or {}).get("Warehouses")
    if flag is None or flag is True:
        return True
    if flag is False or flag.get("all") is False or flag.get("All") is False:
        return False
    return flag.get("warehouseIds") is None or warehouse_id in flag["warehouseIds"]


def _common_values(event: Any) -> list[tuple[str, Any]]:
    """What every table of the call must hold."""
    keys = ["userId", "anonymousId", "timestamp", "receivedAt", "sentAt", "originalTimestamp"]
    keys += {
        "track": ["event"],
        "page": ["name", "category"],
        "screen": ["name", "category"],
        "group": ["groupId"],
        "alias": ["previousId"],
    }.get(event["type"], [])
    values = [(key, event[key]) for key in keys if event.get(key) is not None]
    return values + list(_flat(event.get("context") or {}, "context"))


def _body_values(event: Any) -> list[tuple[str, Any]]:
    keys = {
        "identify": ["traits"],
        "group": ["traits"],
        "alias": ["traits", "properties"],
    }.get(event["type"], ["properties"])
    values = [item for key in keys for item in _flat(event.get(key) or {}, key)]
    if event["type"] in ("page", "screen"):
        # Sent twice by browsers, and stored once when both are the same.
        stored = {f"properties/{key}": event.get(key) for key in ("name", "category")}
        values = [(path, value) for path, value in values if stored.get(path) != value]
    return values


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(item, f"{path}/{key}")
    elif value is not None:
        yield path, value


def _cells(event: Any, row: Row) -> Iterator[Any]:
    """The cells that hold something sent, with those inside of `_overflow`."""
    derived = {"id", "uuid_ts", "loaded_at"} | ({"event"} if event["type"] == "track" else set())
    for column, value in row.items():
        if column == "_overflow" and isinstance(value, str):
            yield from (item for _, item in _flat(_parse(value), column))
        elif value is not None and column not in derived:
            yield value


def _first_unanswered(sent: list[tuple[str, Any]], cells: Iterable[Any]) -> tuple[str, Any] | None:
    """Give each value a cell of its own (bipartite matching); the first that gets none, or None."""
    meanings = [_cell_meanings(cell) for cell in cells]
    owner: dict[int, int] = {}

    def place(index: int, tried: set[int]) -> bool:
        wanted = _sent_meanings(sent[index][1])
        for cell in range(len(meanings)):
            if cell not in tried and wanted & meanings[cell]:
                tried.add(cell)
                if cell not in owner or place(owner[cell], tried):
                    owner[cell] = index
                    return True
        return False

    return next((sent[i] for i in range(len(sent)) if not place(i, set())), None)


def _sent_meanings(value: Any) -> set[Meaning]:
    meanings = {_meaning(value)}
    if isinstance(value, str) and not isinstance(value, _Literal):
        moment = _moment(value)
        if moment is not None:
            meanings.add(("moment", moment))
    return meanings


def _moment(text: str) -> datetime | None:
    """What any ISO-8601 reader sees in the text, in UTC."""
    try:
        moment = datetime.fromisoformat(text)
        aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return aware.replace(tzinfo=None)


def _cell_meanings(cell: Any) -> set[Meaning]:
    if isinstance(cell, datetime):
        return {("moment", cell)}
    meanings = {_meaning(cell)}
    if isinstance(cell, str) and not isinstance(cell, _Literal):
        with suppress(ValueError):
            meanings.add(_meaning(_parse(cell)))
    return meanings


def _meaning(value: Any) -> Meaning:
    """A hashable form in which equal values are equal, and numbers aren't booleans."""
    if isinstance(value, bool) or value is None:
        return "constant", value
    if isinstance(value, _Literal):
        return "number", _number(value)
    if isinstance(value, int | float):
        return "number", Decimal(value)
    if isinstance(value, list):
        return "array", tuple(_meaning(item) for item in value)
    if isinstance(value, dict):
        return "object", frozenset((key, _meaning(item)) for key, item in value.items())
    return "string", value


def _number(literal: str) -> object:
    """The exact integer, or the double, or (when there is no such double) the exact fraction."""
    try:
        exact = Decimal(literal)
    except InvalidOperation:
        return literal
    if literal.lstrip("-").isdigit() or float(literal) in (float("inf"), float("-inf")):
        return exact
    return Decimal(float(literal))
