"""Queries from other processes: only one process can have the DuckDB file open.

A Unix socket in the data folder. A request is one frame of JSON, an answer is a frame of JSON
(``error``, or how many ``rows``) and then, when there was no error, a stream of Arrow IPC. A frame
is eight bytes of length and the bytes.
"""

from __future__ import annotations

import logging
import os
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from penstock.errors import EngineUnreachable, QueryRefused

__all__ = ["QueryServer", "ask", "connect", "query_engine"]

log = logging.getLogger("penstock.warehouse")
_LENGTH = struct.Struct(">Q")
_MOST_REQUEST = 16 * 1024 * 1024
Query = Callable[[str, str | None], pa.Table]


class QueryServer:
    """Answers queries on threads of their own while the loader works."""

    def __init__(self, path: Path, query: Query) -> None:
        path.unlink(missing_ok=True)
        with _address(path) as address:
            self._server = _Server(address, _handler(query))
        path.chmod(0o600)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


def _handler(query: Query) -> type[socketserver.BaseRequestHandler]:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            try:
                _answer(self.request, query, _receive(self.request, _MOST_REQUEST))
            except (OSError, EOFError) as error:
                log.debug("a query connection ended: %s", error)

    return Handler


def _answer(connection: socket.socket, query: Query, content: bytes) -> None:
    """Answer one request, whatever happens to it."""
    try:
        request = msgspec.json.decode(content)
        table = query(request["sql"], request.get("dialect"))
    except QueryRefused as refused:
        _send(connection, msgspec.json.encode({"error": str(refused)}))
        return
    except Exception as error:  # the client must hear of it, and not wait
        log.warning("a query failed", exc_info=True)
        why = f"the query failed: {type(error).__name__}: {error}"
        _send(connection, msgspec.json.encode({"error": why.encode(errors="replace").decode()}))
        return
    _send(connection, msgspec.json.encode({"rows": table.num_rows}))
    with connection.makefile("wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)


def query_engine(path: Path, sql: str, dialect: str | None, timeout: float) -> pa.Table:
    """Ask the running engine. Raises QueryRefused, or EngineUnreachable when nobody answers."""
    with connect(path, timeout) as connection:
        return ask(connection, sql, dialect)


def connect(path: Path, timeout: float) -> socket.socket:
    """A connection to the running engine. Raises EngineUnreachable when nobody listens."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        with _address(path) as address:
            connection.connect(address)
    except OSError as error:
        connection.close()
        raise _unreachable(error) from error
    return connection


def ask(connection: socket.socket, sql: str, dialect: str | None) -> pa.Table:
    """Ask one query. Raises QueryRefused, or EngineUnreachable when the answer does not come."""
    request: dict[str, Any] = {"sql": sql, "dialect": dialect}
    try:
        content = msgspec.json.encode(request)
    except UnicodeEncodeError as error:
        raise QueryRefused("the statement is not Unicode text") from error
    try:
        _send(connection, content)
        answer = msgspec.json.decode(_receive(connection))
        if "error" in answer:
            raise QueryRefused(answer["error"])
        with connection.makefile("rb") as file:
            table = pa.ipc.open_stream(file).read_all()
    except (OSError, EOFError, msgspec.DecodeError, pa.ArrowException) as error:
        raise _unreachable(error) from error
    if table.num_rows != answer["rows"]:
        raise _unreachable(EOFError("the answer is not complete"))
    return table


def _unreachable(error: Exception) -> EngineUnreachable:
    return EngineUnreachable(f"the warehouse of the running engine: {error}")


@contextmanager
def _address(path: Path) -> Iterator[str]:
    """The path, through /proc while it is too long for a socket address."""
    text = str(path.absolute())
    if len(os.fsencode(text)) < 100:
        yield text
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _send(connection: socket.socket, data: Any) -> None:
    connection.sendall(_LENGTH.pack(len(data)))
    connection.sendall(data)


def _receive(connection: socket.socket, most: int = 1 << 40) -> bytes:
    (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
    if length > most:
        raise EOFError("the request is too long")
    return _exactly(connection, length)


def _exactly(connection: socket.socket, length: int) -> bytes:
    data = bytearray(length)
    view = memoryview(data)
    while view:
        count = connection.recv_into(view)
        if count == 0:
            raise EOFError("the connection closed")
        view = view[count:]
    return bytes(data)
