"""Frames on the warehouse's socket, and the client that needs no Arrow.

A request is one frame of JSON, a ``Request``. An answer is a frame of JSON, an ``Answer``. Then
follow, when it was a query without an error, the rows: with ``rows`` true one more frame of JSON, a
list of lists; else a stream of Arrow IPC. A frame is eight bytes of length and the bytes.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from penstock.errors import EngineUnreachable, QueryRefused
from penstock.warehouses.running import QueryOptions, RunningQuery

__all__ = [
    "Answer",
    "Request",
    "Wanted",
    "address",
    "ask_rows",
    "begin",
    "begin_backfill",
    "cancel_query",
    "connect",
    "receive",
    "running_queries",
    "send",
    "unreachable",
]

_LENGTH = struct.Struct(">Q")
_QUICK_S = 5.0
_BACKFILL_S = 70.0
"""A chunk is loaded to its end before a job begins."""


def connect(path: Path, timeout: float) -> socket.socket:
    """A connection to the running engine. Raises EngineUnreachable when nobody listens."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        with address(path) as text:
            connection.connect(text)
    except OSError as error:
        connection.close()
        raise unreachable(error) from error
    return connection


class Wanted(msgspec.Struct, frozen=True):
    """A table to fill from the journal."""

    source: str
    table: str
    since_us: int = 0
    """Only events received from then on, microseconds since 1970."""


class Request(msgspec.Struct, omit_defaults=True):
    """What a client wants."""

    do: str = "query"
    """query, list, cancel or backfill."""
    sql: str = ""
    dialect: str | None = None
    rows: bool = False
    """Whether the rows are wanted as JSON."""
    options: QueryOptions = QueryOptions()
    wanted: Wanted | None = None


class Answer(msgspec.Struct, omit_defaults=True):
    """The head of an answer."""

    error: str | None = None
    code: str = "sql_refused"
    rows: int = 0
    running: list[RunningQuery] = []
    cancelled: bool = False
    backfill: int = 0
    """Number of the job that began."""


def begin(connection: socket.socket, request: Request) -> Answer:
    """Send a request and read the head of its answer. Raises QueryRefused, EngineUnreachable."""
    try:
        content = msgspec.json.encode(request)
    except UnicodeEncodeError as error:
        raise QueryRefused("the statement is not Unicode text") from error
    try:
        send(connection, content)
        head = msgspec.json.decode(receive(connection), type=Answer)
    except (OSError, EOFError, msgspec.DecodeError) as error:
        raise unreachable(error) from error
    if head.error is not None:
        raise QueryRefused(head.error, head.code)
    return head


def ask_rows(path: Path, sql: str, timeout: float) -> list[list[Any]]:
    """The rows of a statement of Penstock's own as JSON values; timestamps are text.

    Raises QueryRefused, or EngineUnreachable when nobody answers.
    """
    options = QueryOptions(internal=True, timeout_s=timeout)
    with connect(path, timeout) as connection:
        begin(connection, Request(sql=sql, rows=True, options=options))
        try:
            return msgspec.json.decode(receive(connection), type=list[list[Any]])
        except (OSError, EOFError, msgspec.DecodeError) as error:
            raise unreachable(error) from error


def running_queries(path: Path) -> list[RunningQuery]:
    """The queries of users that run now. Raises EngineUnreachable."""
    with connect(path, _QUICK_S) as connection:
        return begin(connection, Request("list")).running


def cancel_query(path: Path, query_id: str) -> bool:
    """Stop a query; False when none of that id runs. Raises EngineUnreachable."""
    with connect(path, _QUICK_S) as connection:
        return begin(connection, Request("cancel", options=QueryOptions(id=query_id))).cancelled


def begin_backfill(path: Path, wanted: Wanted) -> int:
    """Begin a job; its number. Raises QueryRefused or EngineUnreachable."""
    with connect(path, _BACKFILL_S) as connection:
        return begin(connection, Request("backfill", wanted=wanted)).backfill


def unreachable(error: Exception) -> EngineUnreachable:
    """The error of a client whose engine does not answer."""
    return EngineUnreachable(f"the warehouse of the running engine: {error}")


@contextmanager
def address(path: Path) -> Iterator[str]:
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


def send(connection: socket.socket, data: Any) -> None:
    """Send one frame."""
    connection.sendall(_LENGTH.pack(len(data)))
    connection.sendall(data)


def receive(connection: socket.socket, most: int = 1 << 40) -> bytes:
    """Receive one frame. Raises EOFError when the connection ends or the frame is too long."""
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
