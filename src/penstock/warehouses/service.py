"""Queries from other processes: only one process can have the DuckDB file open.

A Unix socket in the data folder. A request is one frame of JSON, an answer is a frame of JSON
(``error`` or nothing) and then, when there was no error, one of Arrow IPC. A frame is eight bytes
of length and the bytes.
"""

from __future__ import annotations

import logging
import os
import socket
import socketserver
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from penstock.errors import EngineUnreachable, QueryRefused

__all__ = ["QueryServer", "query_engine"]

log = logging.getLogger("penstock.warehouse")
_LENGTH = struct.Struct(">Q")
_MOST_REQUEST = 16 * 1024 * 1024
Query = Callable[[str, str | None], pa.Table]


class QueryServer:
    """Answers queries on threads of their own while the loader works."""

    def __init__(self, path: Path, query: Query) -> None:
        path.unlink(missing_ok=True)
        address = _address(path)
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
                request = msgspec.json.decode(_receive(self.request, _MOST_REQUEST))
                try:
                    table = query(request["sql"], request.get("dialect"))
                except QueryRefused as refused:
                    _send(self.request, msgspec.json.encode({"error": str(refused)}))
                    return
                _send(self.request, b"{}")
                sink = pa.BufferOutputStream()
                with pa.ipc.new_stream(sink, table.schema) as writer:
                    writer.write_table(table)
                _send(self.request, sink.getvalue())
            except (OSError, EOFError, msgspec.DecodeError, KeyError) as error:
                log.debug("a query connection ended: %s", error)

    return Handler


def query_engine(path: Path, sql: str, dialect: str | None, timeout: float) -> pa.Table:
    """Ask the running engine. Raises QueryRefused, or EngineUnreachable when nobody answers."""
    request: dict[str, Any] = {"sql": sql, "dialect": dialect}
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            connection.connect(_address(path))
            _send(connection, msgspec.json.encode(request))
            answer = msgspec.json.decode(_receive(connection))
            if "error" in answer:
                raise QueryRefused(answer["error"])
            return pa.ipc.open_stream(_receive(connection)).read_all()
    except (OSError, EOFError) as error:
        raise EngineUnreachable(f"the warehouse of the running engine: {error}") from error


def _address(path: Path) -> str:
    """The path, through /proc when it is too long for a socket address."""
    text = str(path.absolute())
    if len(text) < 100:
        return text
    folder = os.open(path.parent, os.O_RDONLY)
    return f"/proc/self/fd/{folder}/{path.name}"


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
