"""A slow, obvious second implementation of the warehouse contract.

Written from `docs/decisions/0002-warehouse-details.md` and nothing else, so that a property test
can hold it against the real loader. Not modelled: the values of `uuid_ts` and `loaded_at`; the two
columns are left out, but count against the column cap.

Where the rules can be read in two ways, the reading taken here is marked `READING`.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn, TypeAlias


@dataclass(frozen=True)
class Number:
    """A JSON number as it was written, so that no digit is lost before a rule says so."""

    text: str

    @property
    def is_integer(self) -> bool:
        """Written without fraction and exponent."""
        return not any(character in self.text for character in ".eE")

    def beyond_double(self) -> bool:
        return math.isinf(float(self.text))

    def as_bigint(self) -> int | None:
        """The value, when it is what a BIGINT column holds.

        READING: a number with fraction or exponent is the double that every JSON reader makes of
        it, so it is fraction-free when that double is.
        """
        if self.is_integer:
            return int(self.text) if -(2**63) <= Decimal(self.text) < 2**63 else None
        value = float(self.text)
        return int(value) if value.is_integer() and abs(value) < 2**63 else None

    def exact_in_double(self) -> bool:
        """False only for integers: the value of any other number is a double already."""
        return not self.is_integer or Decimal(self.text) == Decimal(float(self.text))


Json: TypeAlias = "bool | Number | str | list[Json] | dict[str, Json] | None"
Object: TypeAlias = dict[str, Json]


class JsonText(str):
    """A text that is the compact JSON of a value, as opposed to a string that was sent as it is.

    Two loaders may write the same number differently (`1e16`, `1e+16`), so such a cell is compared
    with `same_json`; a string that was sent is compared as it is.
    """

    __slots__ = ()


def read_json(text: str) -> Json:
    """Parse without losing anything; of duplicate keys the last value stays.

    READING: as in Python's `json`, the surviving member stands where the key stood first.
    """

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    parsed = json.loads(text, parse_int=Number, parse_float=Number, parse_constant=refuse)
    return _without_surrogates(parsed)


SURROGATE = re.compile(r"[\ud800-\udfff]")


def _without_surrogates(value: Any) -> Json:
    if isinstance(value, str):
        return SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {
            SURROGATE.sub("\ufffd", key): _without_surrogates(item) for key, item in value.items()
        }
    assert value is None or isinstance(value, bool | Number)
    return value


def compact(value: Json) -> JsonText:
    """`json.dumps(value, separators=(",", ":"), ensure_ascii=False)`, but numbers stay as written.

    So `1e16` stays `1e16` (json.dumps: `1e+16`), and `1e999` stays a number (json.dumps: Infinity).
    """
    return JsonText(_dump(value))


def _dump(value: Json) -> str:
    if isinstance(value, Number):
        return value.text
    if isinstance(value, list):
        return "[" + ",".join(_dump(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{_dump(key)}:{_dump(item)}" for key, item in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)


def same_json(a: str, b: str) -> bool:
    """Whether both texts are JSON and mean the same value.

    Integers are compared digit by digit, other numbers as doubles (as written when beyond the range
    of a double), objects without regard to order. `1` and `1.0` are the same, `1` and `true` are
    not.
    """
    try:
        return _comparable(read_json(a)) == _comparable(read_json(b))
    except ValueError:
        return False


def _comparable(value: Json) -> object:
    """A value whose `==` is the equality that `same_json` describes."""
    if isinstance(value, Number):
        if value.is_integer:
            return "number", Decimal(value.text)
        if not value.beyond_double():
            return "number", Decimal(float(value.text))
        try:
            return "number", Decimal(value.text)
        except InvalidOperation:  # an exponent that even Decimal doesn't take
            return "number", value.text
    if isinstance(value, list):
        return "array", [_comparable(item) for item in value]
    if isinstance(value, dict):
        return "object", {key: _comparable(item) for key, item in value.items()}
    return type(value).__name__, value


def text_of(value: Json) -> str:
    """The text of a value in `discards`: a string as it is, anything else as compact JSON."""
    return value if isinstance(value, str) else compact(value)


DATE = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})"
    r"(?:[T ](?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})"
    r"(?::(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]+))?)?"
    r"(?:Z|(?P<sign>[+-])(?P<offset_hour>[0-9]{2})(?::?(?P<offset_minute>[0-9]{2}))?))?"
)


def read_date(text: str) -> datetime | None:
    """The moment in UTC (naive), or None when the text is not one of the accepted date texts.

    READING: an offset is at most 23:59.
    """
    match = DATE.fullmatch(text)
    if match is None:
        return None
    part = {name: digits or "0" for name, digits in match.groupdict().items()}
    offset = timedelta(hours=int(part["offset_hour"]), minutes=int(part["offset_minute"]))
    if int(part["offset_minute"]) > 59 or offset >= timedelta(days=1):
        return None
    try:
        local = datetime(
            int(part["year"]),
            int(part["month"]),
            int(part["day"]),
            int(part["hour"]),
            int(part["minute"]),
            int(part["second"]),
            int(part["fraction"][:6].ljust(6, "0")),
            tzinfo=timezone(-offset if part["sign"] == "-" else offset),
        )
        return local.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None


# Names


def snake(text: str) -> str:
    """The [G] algorithm of warehouse.md §2; the result may be empty or start with a digit."""
    if re.fullmatch("[a-z0-9]+(_[a-z0-9]+)*", text):
        return text
    words = re.findall("[A-Z0-9]+[a-z0-9]*|[a-z0-9]+", text)
    return "_".join(word.lower() for word in words)


def prefixed(name: str) -> str:
    """A leading digit gets `_`."""
    return "_" + name if name[:1].isdigit() else name


MERGED = ("users", "accounts")
SYSTEM_TABLES = {
    "tracks",
    "identifies",
    "users",
    "pages",
    "screens",
    "groups",
    "accounts",
    "aliases",
    "discards",
}


def event_table(event: str | None) -> str | None:
    """The table of an event name, None when it is unnameable."""
    name = prefixed(snake(event or ""))
    if name in SYSTEM_TABLES:
        return "_" + name
    return name or None


Path: TypeAlias = tuple[str, ...]


def leaves(value: Object, path: Path = ()) -> Iterator[tuple[Path, Json]]:
    """The values in JSON order; arrays and nulls are values, an empty object is nothing."""
    for key, item in value.items():
        if isinstance(item, dict):
            yield from leaves(item, (*path, key))
        else:
            yield (*path, key), item


def property_column(path: Path) -> str | None:
    return prefixed(snake("_".join(path))) or None


def context_column(path: Path) -> str | None:
    name = snake("_".join(path))
    return "context_" + name if name else None


# Types


def first_type(value: Json) -> str:
    """The type that a column gets from its first non-null value."""
    if isinstance(value, bool):
        return "BOOLEAN"
    if isinstance(value, Number):
        if value.beyond_double():
            return "VARCHAR"
        return "DOUBLE" if value.as_bigint() is None else "BIGINT"
    if isinstance(value, str):
        return "VARCHAR" if read_date(value) is None else "TIMESTAMP"
    assert isinstance(value, list)
    return "JSON"


def cell(column_type: str, value: Json) -> object:
    """The value as a column of that type holds it, None when it can't."""
    if column_type == "VARCHAR":
        return text_of(value)
    if column_type == "JSON":
        return compact(value)
    if column_type == "BOOLEAN" and isinstance(value, bool):
        return value
    if column_type == "BIGINT" and isinstance(value, Number):
        return value.as_bigint()
    if column_type == "DOUBLE" and isinstance(value, Number) and not value.beyond_double():
        return float(value.text)
    if column_type == "TIMESTAMP" and isinstance(value, str):
        return read_date(value)
    return None


# Tables

EVERY_TABLE = {"id": "VARCHAR", "received_at": "TIMESTAMP"}
EVERY_CALL = EVERY_TABLE | {
    "anonymous_id": "VARCHAR",
    "user_id": "VARCHAR",
    "sent_at": "TIMESTAMP",
    "original_timestamp": "TIMESTAMP",
    "timestamp": "TIMESTAMP",
}
EVENT_TABLE = EVERY_CALL | {"event": "VARCHAR", "event_text": "VARCHAR"}
VIEWS = EVERY_CALL | {"name": "VARCHAR", "category": "VARCHAR"}
STANDARD = {
    "tracks": EVENT_TABLE,
    "identifies": EVERY_CALL,
    "users": EVERY_TABLE,
    "pages": VIEWS,
    "screens": VIEWS,
    "groups": EVERY_CALL | {"group_id": "VARCHAR"},
    "accounts": EVERY_TABLE,
    "aliases": EVERY_CALL | {"previous_id": "VARCHAR"},
    "discards": {
        "table_name": "VARCHAR",
        "row_id": "VARCHAR",
        "column_name": "VARCHAR",
        "column_value": "VARCHAR",
        "reason": "VARCHAR",
        "received_at": "TIMESTAMP",
    },
}
NOT_MODELLED = ("uuid_ts", "loaded_at")


@dataclass
class ReferenceTable:
    """What a table holds, without `uuid_ts` and `loaded_at`; every row has every column."""

    types: dict[str, str]
    rows: list[dict[str, object]]


Stamp: TypeAlias = tuple[datetime, str]


@dataclass
class Row:
    cells: dict[str, object]
    overflow: Object = field(default_factory=dict)
    mentioned: dict[str, Stamp] = field(default_factory=dict)
    """`users` and `accounts`: the latest call that mentioned a column or a key of `_overflow`."""


@dataclass
class Table:
    name: str
    types: dict[str, str]
    rows: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Call:
    """One validated event; null fields and absent fields are the same here."""

    fields: Object
    received_at: datetime
    timestamp: datetime

    @property
    def id(self) -> str:
        return self.needed_text("messageId")

    def text(self, key: str) -> str | None:
        value = self.fields.get(key)
        if value is None or isinstance(value, str):
            return value
        raise ValueError(f"{key} is not a string")

    def needed_text(self, key: str) -> str:
        value = self.text(key)
        if not value:
            raise ValueError(f"{key} is missing")
        return value

    def object(self, key: str) -> Object:
        value = self.fields.get(key)
        if value is None:
            return {}
        if isinstance(value, dict):
            return value
        raise ValueError(f"{key} is not an object")


def read_call(event_json: bytes) -> Call:
    """Raises ValueError for what never reaches the loader."""
    event = read_json(event_json.decode())
    if not isinstance(event, dict):
        raise ValueError("an event is an object")
    moments = []
    for key in ("receivedAt", "timestamp"):
        text = event.get(key)
        moment = read_date(text) if isinstance(text, str) else None
        if moment is None:
            raise ValueError(f"{key} is not a date")
        moments.append(moment)
    return Call(event, *moments)


class Schema:
    """The tables of one source."""

    def __init__(self, max_event_tables: int, max_columns: int) -> None:
        self.max_event_tables = max_event_tables
        self.max_columns = max_columns
        self.tables: dict[str, Table] = {}

    # The calls

    def load(self, call: Call) -> None:
        kind = call.needed_text("type")
        if kind == "track":
            self.track(call)
        elif kind == "identify":
            self.identify(call)
        elif kind == "group":
            self.group(call)
        elif kind == "alias":
            self.alias(call)
        elif kind in ("page", "screen"):
            self.view(call, kind + "s")
        else:
            raise ValueError(f"unknown type {kind}")

    def track(self, call: Call) -> None:
        table = event_table(call.text("event"))
        properties = call.object("properties")
        home = table if table is not None and self.has_room_for(table) else "tracks"
        standard: dict[str, object] = {"event": table, "event_text": call.text("event")}
        standard |= self.standard(call, home)
        context = self.context(call, home)

        row = self.new_row("tracks", standard)
        self.fill(call, "tracks", row, context)
        if table is None:
            for path, value in leaves(properties):
                column = property_column(path) or ".".join(path)
                self.discard(call, "tracks", column, value, "unnameable")
        elif home == "tracks" and properties:
            # READING: the object as it was sent; an empty one creates nothing. Context columns
            # beyond the column cap are in the same object; as in a column, the last one wins.
            for key in row.overflow.keys() & properties.keys():
                self.discard(call, "tracks", key, row.overflow[key], "collision")
            row.overflow |= properties
            self.tables["tracks"].types["_overflow"] = "JSON"
        if home != "tracks":
            columns = self.columns(call, home, list(leaves(properties)))
            self.fill(call, home, self.new_row(home, standard), context | columns)

    def identify(self, call: Call) -> None:
        values = self.context(call, "identifies")
        values |= self.columns(call, "identifies", list(leaves(call.object("traits"))))
        row = self.new_row("identifies", self.standard(call, "identifies"))
        self.fill(call, "identifies", row, values)
        if call.text("userId"):
            self.merge(call, "users", call.needed_text("userId"), values)

    def group(self, call: Call) -> None:
        values = self.context(call, "groups")
        values |= self.columns(call, "groups", list(leaves(call.object("traits"))))
        group_id = call.needed_text("groupId")
        row = self.new_row("groups", self.standard(call, "groups") | {"group_id": group_id})
        self.fill(call, "groups", row, values)
        self.merge(call, "accounts", group_id, values)

    def alias(self, call: Call) -> None:
        sent = [*leaves(call.object("traits")), *leaves(call.object("properties"))]
        values = self.context(call, "aliases") | self.columns(call, "aliases", sent)
        standard = self.standard(call, "aliases") | {"previous_id": call.text("previousId")}
        self.fill(call, "aliases", self.new_row("aliases", standard), values)

    def view(self, call: Call, table: str) -> None:
        """A page or screen call."""
        properties = call.object("properties")
        sent = list(leaves(properties))
        standard = self.standard(call, table)
        for key in ("name", "category"):
            title, inner = call.text(key), properties.get(key)
            if title is None and isinstance(inner, str):
                title = inner
            if title is not None:
                # READING: only the key spelled exactly like this, not `Name`.
                sent = [(path, value) for path, value in sent if (path, value) != ((key,), title)]
            standard[key] = title
        values = self.context(call, table) | self.columns(call, table, sent)
        self.fill(call, table, self.new_row(table, standard), values)

    # From a call to columns; discards that belong to the call are recorded here, once

    def standard(self, call: Call, home: str) -> dict[str, object]:
        """The columns of every call."""
        cells: dict[str, object] = {
            "id": call.id,
            "received_at": call.received_at,
            "anonymous_id": call.text("anonymousId"),
            "user_id": call.text("userId"),
            "timestamp": call.timestamp,
        }
        for key, column in (("sentAt", "sent_at"), ("originalTimestamp", "original_timestamp")):
            value = call.fields.get(key)
            cells[column] = read_date(value) if isinstance(value, str) else None
            if cells[column] is None:
                self.discard(call, home, column, value, "type")
        return cells

    def context(self, call: Call, home: str) -> Object:
        named: list[tuple[str, Json]] = []
        for path, value in leaves(call.object("context")):
            column = context_column(path)
            if column is None:
                # READING: the path inside of the context, without `context.` in front.
                self.discard(call, home, ".".join(path), value, "unnameable")
            else:
                named.append((column, value))
        return self.last_wins(call, home, named)

    def columns(self, call: Call, home: str, sent: list[tuple[Path, Json]]) -> Object:
        """The columns of properties or traits."""
        reserved = {"context", *NOT_MODELLED, *STANDARD.get(home, EVENT_TABLE)}
        named: list[tuple[str, Json]] = []
        for path, value in sent:
            column = property_column(path)
            if column is None:
                self.discard(call, home, ".".join(path), value, "unnameable")
            elif column in reserved or column.startswith("context_"):
                self.discard(call, home, column, value, "reserved")
            else:
                named.append((column, value))
        return self.last_wins(call, home, named)

    def last_wins(self, call: Call, home: str, named: list[tuple[str, Json]]) -> Object:
        """The values by column; each earlier one of the same column is a discard."""
        values: Object = {}
        for column, value in named:
            if column in values:
                self.discard(call, home, column, values.pop(column), "collision")
            values[column] = value
        return values

    # From columns to tables

    def table(self, name: str) -> Table:
        if name not in self.tables:
            self.tables[name] = Table(name, dict(STANDARD.get(name, EVENT_TABLE)))
        return self.tables[name]

    def has_room_for(self, event_table: str) -> bool:
        names = self.tables.keys() - SYSTEM_TABLES
        return event_table in names or len(names) < self.max_event_tables

    def new_row(self, table: str, cells: dict[str, object]) -> Row:
        row = Row(dict(cells))
        self.table(table).rows.append(row)
        return row

    def fill(self, call: Call, table: str, row: Row, values: Object) -> None:
        """Put the values of a call into its row, new columns in alphabetical order."""
        for column, value in sorted(values.items()):
            held = self.reach(self.tables[table], column, value, call.id, call.received_at)
            if held is OVERFLOW:
                row.overflow[column] = value
            else:
                row.cells[column] = held

    def merge(self, call: Call, table: str, row_id: str, values: Object) -> None:
        """Put the values of a call into the one row of a user or an account."""
        stamp = (call.timestamp, call.id)
        row = next((row for row in self.table(table).rows if row.cells["id"] == row_id), None)
        if row is None:
            row = self.new_row(table, {"id": row_id, "received_at": call.received_at})
        for column, value in sorted(values.items()):
            # A value that is too old to win reaches the column all the same: it creates it, widens
            # it or is discarded, as it would have if the calls had come in order.
            held = self.reach(self.tables[table], column, value, row_id, call.received_at)
            if held is None and value is not None:
                continue  # can't be held: counts as not sent
            if column in row.mentioned and row.mentioned[column] > stamp:
                continue
            row.mentioned[column] = stamp
            if held is OVERFLOW:
                row.overflow[column] = value
            else:
                row.overflow.pop(column, None)
                row.cells[column] = held
        received_at = row.cells["received_at"]
        assert isinstance(received_at, datetime)
        row.cells["received_at"] = max(received_at, call.received_at)

    def reach(
        self, table: Table, column: str, value: Json, row_id: str, received_at: datetime
    ) -> object:
        """What the column holds of a value (None: nothing), or OVERFLOW when there is no column.

        Creates and widens columns, and records the discards of reason `type` and `precision`.
        """
        if value is None:
            return None
        if column not in table.types:
            if self.is_full(table):
                table.types["_overflow"] = "JSON"
                return OVERFLOW
            table.types[column] = first_type(value)
        held = cell(table.types[column], value)
        if held is None and table.types[column] == "BIGINT":
            in_double = cell("DOUBLE", value)
            if in_double is not None:
                self.widen(table, column)
                held = in_double
        if held is None:
            self.record(table.name, row_id, column, text_of(value), "type", received_at)
        elif table.types[column] == "DOUBLE":
            assert isinstance(value, Number)
            if not value.exact_in_double() and table.name not in MERGED:
                self.record(table.name, row_id, column, text_of(value), "precision", received_at)
        return held

    def widen(self, table: Table, column: str) -> None:
        """BIGINT to DOUBLE, with the rows stored so far.

        The discards carry the `id` and the `received_at` of the stored row.
        """
        table.types[column] = "DOUBLE"
        for row in table.rows:
            stored = row.cells.get(column)
            if stored is None:
                continue
            assert isinstance(stored, int)
            row.cells[column] = float(stored)
            if int(float(stored)) != stored and table.name not in MERGED:
                row_id, received_at = row.cells["id"], row.cells["received_at"]
                assert isinstance(row_id, str)
                assert isinstance(received_at, datetime)
                text = JsonText(stored)
                self.record(table.name, row_id, column, text, "precision", received_at)

    def is_full(self, table: Table) -> bool:
        columns = table.types.keys() - {"_overflow"}
        return len(columns) + len(NOT_MODELLED) >= self.max_columns

    def discard(self, call: Call, table: str, column: str, value: Json, reason: str) -> None:
        """Record a value of a call; a null leaves no trace."""
        if value is not None:
            self.record(table, call.id, column, text_of(value), reason, call.received_at)

    def record(
        self, table: str, row_id: str, column: str, text: str, reason: str, received_at: datetime
    ) -> None:
        cells: dict[str, object] = {
            "table_name": table,
            "row_id": row_id,
            "column_name": column,
            "column_value": text,
            "reason": reason,
            "received_at": received_at,
        }
        self.new_row("discards", cells)


OVERFLOW = object()


class ReferenceWarehouse:
    """Loads events one by one and tells what the tables must hold."""

    def __init__(
        self,
        *,
        max_event_tables: int = 1000,
        max_columns: int = 1600,
        warehouse_id: str = "warehouse",
    ) -> None:
        self.max_event_tables = max_event_tables
        self.max_columns = max_columns
        self.warehouse_id = warehouse_id
        self.filtered = 0
        self._schemas: dict[str, Schema] = {}

    def load(self, source: str, event_json: bytes) -> None:
        """Load one event; ValueError when it breaks what 0002 says of the input."""
        call = read_call(event_json)
        if not self.is_wanted(call):
            self.filtered += 1
            return
        if source not in self._schemas:
            self._schemas[source] = Schema(self.max_event_tables, self.max_columns)
        self._schemas[source].load(call)

    def is_wanted(self, call: Call) -> bool:
        """READING: `all: false` excludes even when `warehouseIds` names this warehouse."""
        integrations = call.fields.get("integrations")
        flag = integrations.get("Warehouses") if isinstance(integrations, dict) else None
        if isinstance(flag, dict):
            if flag.get("all") is False or flag.get("All") is False:
                return False
            ids = flag.get("warehouseIds")
            return self.warehouse_id in ids if isinstance(ids, list) else True
        return flag is not False

    def rows(self, schema: str) -> dict[str, ReferenceTable]:
        """The tables of a source by name."""
        if schema not in self._schemas:
            return {}
        tables = {}
        for name, table in self._schemas[schema].tables.items():
            rows = []
            for row in table.rows:
                cells = {column: row.cells.get(column) for column in table.types}
                if row.overflow:
                    cells["_overflow"] = compact(row.overflow)
                rows.append(cells)
            tables[name] = ReferenceTable(dict(table.types), rows)
        return tables
