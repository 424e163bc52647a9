"""What a plain SQL query over all raw events says: members and traits, as of a time.

Written from the guide to the audience language, not from the code that is tested: each definition
is a query of its own over ``ev(profile, name, ts, received, id, properties JSON, traits JSON)``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import duckdb
import msgspec

from penstock.events.model import Record
from penstock.journal.contract import EVENTS
from penstock.profiles.observed import observe
from penstock.profiles.stream.assigned import Assigned
from tests.profiles.stream.world import World

__all__ = ["Batch", "Wanted", "audiences", "traits"]

_decode = msgspec.msgpack.Decoder(list[Record]).decode
SECOND = 1_000_000
DAY = 86_400 * SECOND
NOW = "$now"


@dataclass(frozen=True)
class Wanted:
    """A definition in both tongues."""

    slug: str
    text: str
    """As Penstock reads it."""
    sql: str
    """A query with one column, ``profile``: the members."""
    names: tuple[str, ...]
    """Events it looks at."""


_COUNTS = {"at least": ">=", "at most": "<=", "exactly": "=", "more than": ">", "less than": "<"}
_WINDOWS = {
    "ever": ("", "true"),
    "within": ("within 3 days", f"ts >= {NOW} - 3 * {DAY}"),
    "ago": ("between 1 and 4 days ago", f"ts between {NOW} - 4 * {DAY} and {NOW} - 1 * {DAY}"),
    "dates": (
        "between 2025-10-10 and 2025-10-13",
        "make_timestamp(ts) between timestamp '2025-10-10'"
        " and timestamp '2025-10-13 23:59:59.999999'",
    ),
}
_AFTER = {"ever": "true", "within": f"ts >= {NOW} - 3 * {DAY}"}
_FIGURES = {"sum": ">", "average": ">=", "min": ">", "max": ">"}
_SQL_FIGURES = {"sum": "sum", "average": "avg", "min": "min", "max": "max"}
_NUMBER = (
    "case when json_type(properties, '$.n') in ('BIGINT','UBIGINT','DOUBLE')"
    " then (properties->>'$.n')::decimal(30, 6) end"
)


def audiences() -> list[Wanted]:
    """Every operator in every window, and what goes beyond: order, filters, references."""
    found = []
    for op, sign in _COUNTS.items():
        for window, (text, sql) in _WINDOWS.items():
            slug = f"{op.replace(' ', '_')}_{window}"
            counted = f"count(*) filter (name = 'X' and {sql})"
            found.append(
                Wanted(slug, f"did X {op} 2 times {text}", _having(f"{counted} {sign} 2"), ("X",))
            )
        for window, sql in _AFTER.items():
            text = _WINDOWS[window][0]
            slug = f"{op.replace(' ', '_')}_after_{window}"
            counted = f"count(*) filter (name = 'X' and ts > last_y and {sql})"
            found.append(
                Wanted(slug, f"did X {op} 1 times {text} after last Y",
                       _having(f"{counted} {sign} 1"), ("X", "Y"))
            )  # fmt: skip
    for function, sign in _FIGURES.items():
        for window, (text, sql) in _WINDOWS.items():
            figure = f"{_SQL_FIGURES[function]}({_NUMBER}) filter (name = 'X' and {sql})"
            if function == "sum":
                figure = f"coalesce({figure}, 0)"
            found.append(
                Wanted(f"{function}_{window}", f"{function}(X.n) {sign} 2.5 {text}",
                       _having(f"{figure} {sign} 2.5"), ("X",))
            )  # fmt: skip
    return [*found, *_others()]


def _having(condition: str) -> str:
    return f"select profile from happened h group by profile having {condition}"


def _others() -> list[Wanted]:
    tests = {
        "more": ("n > 1.5", f"{_NUMBER} > 1.5"),
        "equal": ('s = "b"', "properties->>'$.s' = 'b'"),
        "unequal": ('s != "b"', "coalesce(properties->>'$.s', '') <> 'b'"),
        "part": ('s contains "a"', "properties->>'$.s' like '%a%'"),
        "there": ("s exists", "json_type(properties, '$.s') is not null"),
        "listed": ('s one of ("a", "c")', "properties->>'$.s' in ('a', 'c')"),
        "either": ('(n > 2 or s = "a")', f"({_NUMBER} > 2 or properties->>'$.s' = 'a')"),
    }
    found = [
        Wanted(f"where_{key}", f"did X where {text} within 3 days",
               _having(f"count(*) filter (name = 'X' and ts >= {NOW} - 3 * {DAY} and {sql}) > 0"),
               ("X",))
        for key, (text, sql) in tests.items()
    ]  # fmt: skip
    added = "count(*) filter (name = 'X') > 0"
    cart = f"{added} and count(*) filter (name = 'Y' and ts > last_x) = 0"
    often = f"count(*) filter (name = 'X' and ts >= {NOW} - 3 * {DAY}) >= 2"
    found.append(Wanted("cart", "did X and did not Y after last X", _having(cart), ("X", "Y")))
    found.append(
        Wanted("in_cart", "in audience cart and not in audience at_least_within",
               f"({_having(cart)}) except ({_having(often)})",
               ("X", "Y"))
    )  # fmt: skip
    gold = "select profile from newest where name = 'plan' and value = 'gold'"
    found.append(Wanted("gold", 'trait plan = "gold"', gold, ("identify",)))
    recent = (
        "select profile from newest where name = 'since' and epoch_us(value::timestamp)"
        f" between {NOW} - 2 * {DAY} and {NOW}"
    )
    found.append(Wanted("recent", "trait since within last 2 days", recent, ("identify",)))
    found.append(
        Wanted("counted", "trait t_count_within >= 2",
               _having(often), ("X",))
    )  # fmt: skip
    return found


_VALUE = "json_extract_string(properties, '$.s')"
_THERE = "json_type(properties, '$.s') is not null"
_KINDS = {
    "count": "nullif(count(*) filter ({x}), 0)",
    "sum": "(sum({n}) filter ({x}))::double",
    "average": "(sum({n}) filter ({x}))::double / count({n}) filter ({x})",
    "min": "(min({n}) filter ({x}))::double",
    "max": "(max({n}) filter ({x}))::double",
    "first": "first({s} order by ts, received, id) filter ({x} and {there})",
    "last": "last({s} order by ts, received, id) filter ({x} and {there})",
    "unique_list": "list_sort(list_distinct(list({s}) filter ({x} and {there})))",
    "unique_count": "nullif(count(distinct {s}) filter ({x} and {there}), 0)",
}


def traits() -> list[tuple[str, str, str, str, str]]:
    """(slug, kind, property, within, SQL expression) of every kind, with a window and without."""
    found = []
    for kind, expression in _KINDS.items():
        for window, within, condition in (
            ("ever", "", "true"), ("within", "3 days", f"ts >= {NOW} - 3 * {DAY}"),
        ):  # fmt: skip
            of = "n" if kind in ("sum", "average", "min", "max") else "s"
            sql = expression.format(
                x=f"name = 'X' and {condition}", n=_NUMBER, s=_VALUE, there=_THERE
            )
            found.append((f"t_{kind}_{window}", kind, of, within, sql))
    return found


class Batch:
    """All events of a world's journal, in DuckDB, each with the profile it belongs to now."""

    def __init__(self, world: World, everybody: Iterable[int]) -> None:
        self.now_us = world.now_us
        self.connection = duckdb.connect()
        self.connection.execute(
            "create table ev (profile bigint, name varchar, ts bigint, received bigint, id varchar,"
            " properties json, traits json)"
        )
        rows = _rows(world)
        rows += [(number, "", 0, 0, "", "{}", "{}") for number in everybody]
        if rows:
            self.connection.executemany("insert into ev values (?, ?, ?, ?, ?, ?, ?)", rows)
        self.connection.execute(
            "create view happened as select *,"
            " max(case when name = 'X' then ts end) over (partition by profile) as last_x,"
            " max(case when name = 'Y' then ts end) over (partition by profile) as last_y"
            f" from ev where ts <= {self.now_us}"
        )
        self.connection.execute(
            "create view newest as select profile, key as name, value->>'$' as value from"
            " (select ev.profile, e.key, e.value, row_number() over (partition by ev.profile, e.key"
            "  order by ts desc, received desc, ev.id desc) as place"
            "  from ev, json_each(ev.traits) e where ev.name = 'identify') where place = 1"
        )

    def members(self, wanted: Wanted, known: set[int]) -> set[int]:
        """The members, among profiles that are known by an id of their own."""
        rows = self._ask(wanted.sql)
        return {profile for (profile,) in rows} & known

    def values(self, expression: str) -> dict[int, Any]:
        """A trait by profile, where it has a value."""
        rows = self._ask(f"select profile, {expression} from happened h group by profile")
        return {profile: value for profile, value in rows if value is not None}

    def _ask(self, sql: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql.replace(NOW, str(self.now_us))).fetchall()


def _rows(world: World) -> list[tuple[Any, ...]]:
    assigned = Assigned(world.space.file.connection, 0, 0, 1 << 60)
    reading = world.journal.read(EVENTS, 0, 0, 10_000_000)
    rows = []
    for block in reading.blocks:
        for place, record in enumerate(_decode(block.body), block.first):
            segment = assigned.at(place)
            if not segment:
                continue
            event = observe(record.source, record.received_us, record.payload)
            name = event.name or event.type
            rows.append(
                (world.space.graph.canonical(segment), name, event.timestamp_us,
                 event.received_us, event.message_id, bytes(event.raw_properties).decode(),
                 bytes(event.raw_traits).decode())
            )  # fmt: skip
    return rows
