"""A user's SQL: one statement that only reads, within limits of time and size.

What a statement does is read from its syntax tree, which the engine's own parser writes as JSON:
the type the engine gives a statement is SELECT also when a WITH clause in it deletes or copies,
or when a table function in it writes. Whatever is not known to be harmless is refused.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, cast

import duckdb
import pyarrow as pa
import sqlglot
from sqlglot.errors import SqlglotError

from penstock.errors import QueryRefused
from penstock.warehouses.running import (
    QueryOptions,
    Running,
    RunningQuery,
    Ticket,
    check_length,
)

__all__ = ["DIALECT", "MOST_RESULT_BYTES", "Readers", "checked", "dialects"]

log = logging.getLogger("penstock.warehouse")
DIALECT = "duckdb"
MOST_RESULT_BYTES = 512 * 1024 * 1024
"""Largest result of a query, in memory."""

_BATCH_ROWS = 65_536
_INTERRUPT_EVERY_S = 0.2
_CLOSE_PATIENCE_S = 5.0
_CHECK_PATIENCE_S = 5.0

_QUERY_NODES = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
_TABLE_NODES = {
    "BASE_TABLE", "COLUMN_DATA", "CTE", "EMPTY", "EXPRESSION_LIST", "JOIN", "PIVOT", "SHOW_REF",
    "SUBQUERY", "TABLE_FUNCTION",
}  # fmt: skip
_MODIFIERS = {
    "LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER", "ORDER_MODIFIER", "DISTINCT_MODIFIER",
    "ORDER_DEFAULT", "ASCENDING", "DESCENDING",
}  # fmt: skip
_KNOWN_NODES = _QUERY_NODES | _TABLE_NODES | _MODIFIERS
"""What a node may be that is not an expression (those have a ``class``)."""

_TABLE_FUNCTIONS = {
    "duckdb_columns", "duckdb_schemas", "duckdb_tables", "duckdb_views", "generate_series",
    "json_each", "json_tree", "range", "repeat", "repeat_row", "unnest",
}  # fmt: skip
_REFUSED_FUNCTIONS = {
    "combine", "finalize", "json_execute_serialized_sql", "json_serialize_plan", "nextval",
    "pg_sleep", "setval", "sleep_ms", "to_aggregate_state", "variant_bytes_to_variant",
    "write_log",
}  # fmt: skip
"""Scalar functions that write, wait, or take raw bytes for the engine's own structures."""

_READS = "only statements that read are allowed, such as SELECT"
_EXPLAIN = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*explain\b(?!\s*\()(.*)", re.I | re.S)
_SHOW_TABLES = re.compile(r"show\s+(?:all\s+)?tables", re.I)
_TABLES = (
    'SELECT schema_name AS source, table_name AS "table", column_count AS columns, '
    'estimated_size AS "rows" FROM duckdb_tables() ORDER BY ALL'
)
"""The engine's own SHOW TABLES looks into one schema, and each source has its own."""
_parsing = threading.Lock()
_NO_OPTIONS = QueryOptions()


def dialects() -> list[str]:
    """Names that ``dialect`` may have."""
    return sorted(name.value for name in sqlglot.Dialects if name.value)


def checked(sql: str, dialect: str | None) -> str:
    """The statement in the warehouse's own dialect.

    Raises QueryRefused unless it is exactly one statement that only reads.
    """
    statement = sql.strip().rstrip(";").strip()
    if _SHOW_TABLES.fullmatch(statement):
        return _TABLES
    if dialect and dialect != DIALECT:
        statement = _translated(statement, dialect)
        check_length(statement)
    explained = _EXPLAIN.fullmatch(statement)
    if explained:
        if re.match(r"\s*analyze\b", explained[1], re.I):
            raise QueryRefused("EXPLAIN ANALYZE is not allowed: it runs the statement; use EXPLAIN")
        return f"EXPLAIN {_reading(explained[1].strip())}"
    return _reading(statement)


def _translated(sql: str, dialect: str) -> str:
    if dialect not in dialects():
        raise QueryRefused(f"unknown dialect {dialect!r}; one of {', '.join(dialects())}")
    try:
        translated = sqlglot.transpile(sql, read=dialect, write=DIALECT)
    except SqlglotError as error:
        raise QueryRefused(f"not valid {dialect} SQL: {error}") from error
    except RecursionError as error:
        raise QueryRefused("the statement is nested too deeply") from error
    if len(translated) != 1:
        raise QueryRefused(f"give exactly one statement, not {len(translated)}")
    return translated[0]


def _reading(statement: str) -> str:
    """The statement itself, once its tree has nothing in it but what reads."""
    for node in _nodes(_tree(statement)):
        _check_node(node)
    return statement


def _tree(statement: str) -> Any:
    """The syntax tree of the one statement."""
    kinds, text = _parsed(statement)
    pivots = re.search(r"\bpivot\b", statement, re.I) is not None
    if text is None and not (pivots and kinds and kinds[-1] == duckdb.StatementType.SELECT):
        raise QueryRefused(f"give exactly one statement, not {len(kinds)}")
    try:
        tree: dict[str, Any] = {"error": True} if text is None else json.loads(text)
    except RecursionError as error:
        raise QueryRefused("the statement is nested too deeply") from error
    if tree["error"] or len(tree["statements"]) != 1:
        hint = "; PIVOT must name its values: ON column IN (…)" if pivots else ""
        raise QueryRefused(f"{_READS}{hint}")
    return tree["statements"][0]


def _parsed(statement: str) -> tuple[list[duckdb.StatementType], str | None]:
    """The types of the statements, and the tree as JSON when there is one statement."""
    try:
        statement.encode()
        with _parsing:
            kinds = [found.type for found in _parser().extract_statements(statement)]
            if len(kinds) != 1:
                return kinds, None
            row = _parser().execute("SELECT json_serialize_sql(?)", [statement]).fetchone()
    except UnicodeEncodeError as error:
        raise QueryRefused("the statement is not Unicode text") from error
    except duckdb.Error as error:
        if isinstance(error, duckdb.FatalException | duckdb.InternalException):
            _parser.cache_clear()
        raise QueryRefused(str(error)) from error
    return kinds, str(row[0]) if row else None


@cache
def _parser() -> duckdb.DuckDBPyConnection:
    """An engine without data, for its parser."""
    parser = duckdb.connect(":memory:", config={"threads": 1, "enable_external_access": False})
    parser.execute("SET python_enable_replacements=false")
    parser.execute("SET lock_configuration=true")
    return parser


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object in the tree."""
    waiting = [tree]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _check_node(node: dict[str, Any]) -> None:
    kind = node.get("type")
    if isinstance(kind, str) and "class" not in node and kind not in _KNOWN_NODES:
        raise QueryRefused(f"{_READS} (found {kind})")
    if kind == "TABLE_FUNCTION":
        unknown = _names(node["function"]) - _TABLE_FUNCTIONS
        if unknown:
            raise QueryRefused(
                f"the table function {min(unknown)} is not allowed; allowed are "
                + ", ".join(sorted(_TABLE_FUNCTIONS))
            )
    elif kind == "BASE_TABLE":
        _check_table(node)
    elif "function_name" in node:
        refused = _names(node) & _REFUSED_FUNCTIONS
        if refused:
            raise QueryRefused(f"the function {min(refused)} is not allowed")


def _names(function: dict[str, Any]) -> set[str]:
    """What the function is called; more than one name only if the tree contradicts itself."""
    path = (function.get("qualified_name") or {}).get("path") or []
    return {str(name).lower() for name in (function["function_name"], *path[-1:])}


def _check_table(node: dict[str, Any]) -> None:
    """The engine would take a table that it does not know for a file."""
    path = [str(part) for part in (node.get("qualified_name") or {}).get("path") or []]
    path = path or [node["table_name"]]
    if any("/" in part or "\\" in part for part in path) or (len(path) == 1 and "." in path[0]):
        raise QueryRefused(f"files can't be read: {'.'.join(path)}")


class Readers:
    """Runs users' queries on cursors of their own, from any thread."""

    def __init__(
        self,
        cursor: Callable[[], duckdb.DuckDBPyConnection],
        timeout: float,
        most_bytes: int,
        parallel: int,
    ) -> None:
        self._cursor = cursor
        self._timeout = timeout
        self._most_bytes = most_bytes
        self._closed = False
        self._running = Running(parallel)
        self._checking = threading.Lock()

    def run(self, sql: str, dialect: str | None, options: QueryOptions = _NO_OPTIONS) -> pa.Table:
        """The result of one statement. Raises QueryRefused."""
        if not options.internal:
            check_length(sql)
        timeout = min(self._timeout, options.timeout_s or self._timeout)
        ticket = self._begin(sql, options, time.monotonic() + timeout)
        watch = threading.Thread(target=_interrupt, args=(ticket, self._running), daemon=True)
        try:
            statement = self._checked(ticket, dialect)
            watch.start()
            return self._fetch(ticket, statement)
        except (duckdb.Error, pa.ArrowException) as error:
            raise self._refusal(error, ticket, timeout) from error
        finally:
            self._running.remove(ticket)

    def running(self) -> list[RunningQuery]:
        """The queries of users that run now, oldest first."""
        return self._running.listed()

    def cancel(self, query_id: str) -> bool:
        """Stop a query; False when none of that id runs."""
        return self._running.cancel(query_id)

    def close(self) -> None:
        """Refuse new queries and stop those that run, waiting a little for them to end."""
        deadline = time.monotonic() + _CLOSE_PATIENCE_S
        changed = self._running.changed
        with changed:
            self._closed = True
            while self._running.tickets() and time.monotonic() < deadline:
                for ticket in self._running.tickets():
                    _interrupt_once(ticket)
                changed.wait(_INTERRUPT_EVERY_S)
            if self._running.tickets():
                log.warning("%d queries did not stop", len(self._running.tickets()))

    def _begin(self, sql: str, options: QueryOptions, deadline: float) -> Ticket:
        with self._running.changed:
            if self._closed:
                raise QueryRefused("the warehouse is closing")
            self._running.check_room(options)
            try:
                cursor = self._cursor()
            except duckdb.Error as error:
                raise QueryRefused(str(error)) from error
            return self._running.add(sql, options, cursor, deadline)

    def _checked(self, ticket: Ticket, dialect: str | None) -> str:
        """The statement, checked; users' one at a time, as a syntax tree is large."""
        if ticket.options.internal:
            return checked(ticket.sql, dialect)
        left = max(ticket.deadline - time.monotonic(), 0)
        if not self._checking.acquire(timeout=min(left, _CHECK_PATIENCE_S)):
            raise QueryRefused(
                "other statements are being checked; try again in a moment", "sql_busy"
            )
        try:
            return checked(ticket.sql, dialect)
        finally:
            self._checking.release()

    def _fetch(self, ticket: Ticket, statement: str) -> pa.Table:
        cursor = cast(duckdb.DuckDBPyConnection, ticket.cursor)
        cursor.execute("BEGIN TRANSACTION READ ONLY")
        reader = cursor.sql(statement).to_arrow_reader(_BATCH_ROWS)
        batches: list[pa.RecordBatch] = []
        room, rows = self._most_bytes, ticket.options.max_rows
        for batch in reader:
            if rows is not None and batch.num_rows > rows:
                cut = pa.Table.from_batches([*batches, batch.slice(0, rows)], reader.schema)
                return cut.replace_schema_metadata({"truncated": "true"})
            room -= batch.nbytes
            if room < 0:
                raise QueryRefused(
                    f"the result is larger than {self._most_bytes / 1_048_576:g} MB; "
                    "add a LIMIT, or aggregate",
                    "sql_too_large",
                )
            if self._closed or ticket.cancelled or time.monotonic() > ticket.deadline:
                raise duckdb.InterruptException("stopped")
            batches.append(batch)
            rows = None if rows is None else rows - batch.num_rows
        return pa.Table.from_batches(batches, reader.schema)

    def _refusal(self, error: Exception, ticket: Ticket, timeout: float) -> QueryRefused:
        if self._closed:
            return QueryRefused("the warehouse is closing")
        if ticket.cancelled:
            return QueryRefused("the query was cancelled", "sql_cancelled")
        if time.monotonic() >= ticket.deadline:
            return QueryRefused(f"the query ran longer than {timeout:g} s", "sql_timeout")
        return QueryRefused(str(error))


def _interrupt(ticket: Ticket, running: Running) -> None:
    """Interrupt when it is cancelled or late, again and again: one may fall between two steps."""
    ticket.halt.wait(max(min(ticket.deadline - time.monotonic(), threading.TIMEOUT_MAX), 0))
    with running.changed:
        while not ticket.ended:
            _interrupt_once(ticket)
            running.changed.wait(_INTERRUPT_EVERY_S)


def _interrupt_once(ticket: Ticket) -> None:
    try:
        ticket.cursor.interrupt()
    except duckdb.Error as error:  # it is closed already
        log.debug("interrupting a query: %s", error)
