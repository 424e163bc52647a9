"""Queries from other processes: only one process can have the DuckDB file open.

A Unix socket in the data folder, which speaks the frames of ``wire``.
"""

from __future__ import annotations

import logging
import socket
import socketserver
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from penstock.errors import QueryRefused
from penstock.warehouses.running import QueryOptions, RunningQuery
from penstock.warehouses.wire import (
    Answer,
    Request,
    Wanted,
    address,
    begin,
    connect,
    receive,
    send,
    unreachable,
)

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Answering", "QueryServer", "ask", "connect", "query_engine"]

log = logging.getLogger("penstock.warehouse")
_MOST_REQUEST = 16 * 1024 * 1024
_NO_OPTIONS = QueryOptions()


class Answering(Protocol):
    """What answers queries: the readers of a warehouse."""

    def run(self, sql: str, dialect: str | None, options: QueryOptions = ...) -> pa.Table:
        """The result of one statement. Raises QueryRefused."""

    def running(self) -> list[RunningQuery]:
        """The queries of users that run now."""

    def cancel(self, query_id: str) -> bool:
        """Stop a query; False when none of that id runs."""


class QueryServer:
    """Answers queries on threads of their own while the loader works."""

    def __init__(
        self,
        path: Path,
        answering: Answering,
        backfill: Callable[[Wanted], int] | None = None,
    ) -> None:
        """``backfill`` begins a job and gives its number."""
        path.unlink(missing_ok=True)
        with address(path) as text:
            self._server = _Server(text, _handler(answering, backfill))
        path.chmod(0o600)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


def _handler(
    answering: Answering, backfill: Callable[[Wanted], int] | None
) -> type[socketserver.BaseRequestHandler]:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            try:
                content = receive(self.request, _MOST_REQUEST)
                _answer(self.request, answering, backfill, content)
            except (OSError, EOFError) as error:
                log.debug("a query connection ended: %s", error)

    return Handler


def _answer(
    connection: socket.socket,
    answering: Answering,
    backfill: Callable[[Wanted], int] | None,
    content: bytes,
) -> None:
    """Answer one request, whatever happens to it."""
    table, request = None, Request()
    try:
        request = msgspec.json.decode(content, type=Request)
        if request.do == "list":
            head = Answer(running=answering.running())
        elif request.do == "cancel":
            head = Answer(cancelled=answering.cancel(request.options.id))
        elif request.wanted is not None and backfill is not None:
            head = Answer(backfill=backfill(request.wanted))
        else:
            table = answering.run(request.sql, request.dialect, request.options)
            head = Answer(rows=table.num_rows)
    except QueryRefused as refused:
        head = Answer(error=_sendable(str(refused)), code=refused.code)
    except Exception as error:  # the client must hear of it, and not wait
        log.warning("a query failed", exc_info=True)
        head = Answer(error=_sendable(f"the query failed: {type(error).__name__}: {error}"))
    send(connection, msgspec.json.encode(head))
    if table is not None:
        _send_rows(connection, table, request.rows)


def _send_rows(connection: socket.socket, table: pa.Table, as_json: bool) -> None:
    import pyarrow as pa

    from penstock.warehouses.rows import encode_values, python_values

    if as_json:
        columns = [python_values(column, "T") for column in table.columns]
        send(connection, encode_values(list(zip(*columns, strict=True))))
        return
    with connection.makefile("wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)


def _sendable(text: str) -> str:
    return text.encode(errors="replace").decode()


def query_engine(
    path: Path,
    sql: str,
    dialect: str | None,
    timeout: float,
    options: QueryOptions = _NO_OPTIONS,
) -> pa.Table:
    """Ask the running engine. Raises QueryRefused, or EngineUnreachable when nobody answers."""
    with connect(path, timeout) as connection:
        return ask(connection, sql, dialect, options)


def ask(
    connection: socket.socket,
    sql: str,
    dialect: str | None,
    options: QueryOptions = _NO_OPTIONS,
) -> pa.Table:
    """Ask one query. Raises QueryRefused, or EngineUnreachable when the answer does not come."""
    head = begin(connection, Request(sql=sql, dialect=dialect, options=options))
    import pyarrow as pa

    try:
        with connection.makefile("rb") as file:
            table = pa.ipc.open_stream(file).read_all()
    except (OSError, EOFError, pa.ArrowException) as error:
        raise unreachable(error) from error
    if table.num_rows != head.rows:
        raise unreachable(EOFError("the answer is not complete"))
    return table
