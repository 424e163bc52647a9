"""SQL: one statement that only reads, its rows as JSON, CSV or Arrow."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from litestar import Response
from litestar.openapi.spec import OpenAPIMediaType, Operation, Schema
from litestar.params import JSONBody, Parameter
from msgspec import Meta

from penstock.api.access import Call, Caller, caller_of
from penstock.api.errors import ApiError
from penstock.api.routing import route
from penstock.api.services import Given
from penstock.errors import NotFound
from penstock.warehouses.running import MOST_STATEMENT, QueryOptions, RunningQuery
from penstock.warehouses.service import query_engine
from penstock.warehouses.wire import cancel_query, running_queries
from penstock.workspace.credentials import new_id

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ARROW", "HANDLERS"]

ARROW = "application/vnd.apache.arrow.stream"
_CSV = "text/csv"
_JSON = "application/json"
_FORMATS = (_JSON, _CSV, ARROW)
_TAG = "sql"
_SLACK_S = 10.0
"""How much longer than its limit a query may take to answer."""
_MOST_VALUES = 2_000_000
_MOST_BYTES = 64 * 1024 * 1024
"""Of a result that is turned into text, which takes many times the memory."""


class Query(msgspec.Struct, forbid_unknown_fields=True):
    """A statement to run."""

    statement: Annotated[str, Meta(min_length=1, max_length=MOST_STATEMENT)]
    dialect: Annotated[str, Meta(min_length=1, max_length=30)] | None = None
    """Such as redshift; the warehouse's own, duckdb, without it."""
    limit: Annotated[int, Meta(ge=1, le=2**62)] | None = 10_000
    """Rows after which the result is cut; null: 512 MB as Arrow, else
    64 MB and 2,000,000 values."""
    timeout_s: Annotated[float, Meta(gt=0, le=86_400)] | None = None
    """Shortens the setting sql_timeout."""
    id: Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,64}$")] | None = None
    """By which to cancel it while it runs; Penstock makes one without it."""


class Column(msgspec.Struct):
    """A column of the result."""

    name: str
    type: str


class Rows(msgspec.Struct):
    """The result as JSON."""

    id: str
    columns: list[Column]
    rows: list[list[Any]]
    truncated: bool
    """Whether there were more rows than the limit."""
    seconds: float


class QueryBody(msgspec.Struct):
    """A query that runs."""

    id: str
    owner: str
    statement: str
    started_at: datetime


class QueryList(msgspec.Struct):
    """Queries that run, oldest first."""

    items: list[QueryBody]


class _SqlOperation(Operation):
    """The document's words for the formats beside JSON."""

    def __post_init__(self) -> None:
        success = (self.responses or {})["200"]
        content = getattr(success, "content", None)
        if content is not None:
            text = Schema(type="string")  # type: ignore[arg-type]
            content[_CSV] = OpenAPIMediaType(schema=text)
            content[ARROW] = OpenAPIMediaType(schema=text)


@route("POST", "/sql", "sql:read", tag=_TAG, errors=[406, 409, 413, 429],
       operation_class=_SqlOperation)  # fmt: skip
def run_sql(request: Call, services: Given, data: JSONBody[Query]) -> Response[Rows]:
    """Run one statement that only reads; Accept chooses JSON, CSV or an Arrow stream."""
    form = _format(request.headers.get("accept", "*/*"))
    query_id = data.id or new_id()
    limit = services.settings.sql_timeout.total_seconds()
    timeout = min(limit, data.timeout_s or limit)
    options = QueryOptions(query_id, caller_of(request).owner, data.limit, timeout)
    began = time.monotonic()
    table = query_engine(
        services.settings.socket_file, data.statement, data.dialect, timeout + _SLACK_S, options
    )
    truncated = (table.schema.metadata or {}).get(b"truncated") == b"true"
    content = _encoded(form, table, query_id, truncated, time.monotonic() - began)
    headers = {"Penstock-Query-Id": query_id, "Penstock-Truncated": str(truncated).lower()}
    media_type = f"{_CSV}; charset=utf-8" if form == _CSV else form
    answer: Any = Response(content, media_type=media_type, headers=headers, status_code=200)
    return answer  # type: ignore[no-any-return]


def _encoded(form: str, table: pa.Table, query_id: str, truncated: bool, seconds: float) -> bytes:
    import pyarrow as pa

    from penstock.warehouses.rows import as_csv, count_values, encode_values, python_values

    if form == ARROW:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return bytes(sink.getvalue())
    if table.nbytes > _MOST_BYTES or count_values(table) > _MOST_VALUES:
        raise ApiError(
            "sql_too_large",
            f"{table.num_rows:,} rows of {table.num_columns} columns are too many for JSON and "
            f"CSV; add a limit, or send Accept: {ARROW}",
        )
    if form == _CSV:
        return as_csv(table)
    columns = [python_values(column, "T") for column in table.columns]
    rows = [list(row) for row in zip(*columns, strict=True)]
    names = [Column(field.name, str(field.type)) for field in table.schema]
    return encode_values(Rows(query_id, names, rows, truncated, round(seconds, 4)))


def _format(accept: str) -> str:
    """The first of our formats that the client takes, by its own order and weights."""
    wanted: list[tuple[float, int, str]] = []
    for number, part in enumerate(accept.split(",")):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        try:
            wanted.append((-float(weight), number, name))
        except ValueError:
            continue
    for negative, _, name in sorted(wanted):
        for form in _FORMATS:
            if negative < 0 and name in ("*/*", form, f"{form.partition('/')[0]}/*"):
                return form
    raise ApiError("not_acceptable", f"Accept one of {', '.join(_FORMATS)}")


@route("GET", "/sql/queries", "sql:read", tag=_TAG)
def list_queries(request: Call, services: Given) -> QueryList:
    """List the queries that run: one's own, or with the scope sql:manage everybody's."""
    return QueryList(
        [
            QueryBody(query.id, query.owner, query.sql,
                      datetime.fromtimestamp(query.started_us / 1_000_000, UTC))
            for query in _visible(services, caller_of(request))
        ]
    )  # fmt: skip


@route("DELETE", "/sql/queries/{query_id:str}", "sql:read", tag=_TAG, status=204, errors=[404])
def cancel(
    request: Call,
    services: Given,
    query_id: Annotated[str, Parameter(description="Id of the query.")],
) -> None:
    """Cancel a query that runs; who waits for it is answered 409."""
    ids = {query.id for query in _visible(services, caller_of(request))}
    if query_id not in ids or not cancel_query(services.settings.socket_file, query_id):
        raise NotFound("no query of that id runs")


def _visible(services: Given, caller: Caller) -> list[RunningQuery]:
    queries = running_queries(services.settings.socket_file)
    if caller.may("sql:manage"):
        return queries
    return [query for query in queries if query.owner == caller.owner]


HANDLERS = [run_sql, list_queries, cancel]
