"""Reaching the warehouse: through the running engine, or by opening the file."""

from __future__ import annotations

import socket
import time

import pyarrow as pa

from penstock.cli.options import command_line
from penstock.engine import DataFolderLock, is_running
from penstock.errors import AlreadyRunning, EngineUnreachable, WarehouseError
from penstock.settings import Settings
from penstock.warehouses.service import ask, connect

__all__ = ["run_query"]

_PATIENCE_S = 20.0
_FAILING_S = 3.0
_PAUSE_S = 0.2


def run_query(settings: Settings, sql: str, dialect: str | None = None) -> pa.Table:
    """The result of one read-only statement, after waiting for whoever has the file just now.

    Raises QueryRefused, EngineUnreachable when an engine runs but does not answer, or
    AlreadyRunning when another command keeps the warehouse open.
    """
    way = _reached(settings)
    if isinstance(way, socket.socket):
        with way:
            return ask(way, sql, dialect)
    try:
        return _read(settings, sql, dialect)
    finally:
        way.release()


def _reached(settings: Settings) -> socket.socket | DataFolderLock:
    """A connection to the running engine, or the folder for us alone while there is none."""
    began = time.monotonic()
    while True:
        try:
            if is_running(settings):
                return connect(settings.socket_file, settings.sql_timeout.total_seconds() + 10)
            _check_there(settings)
            return DataFolderLock(settings.run_folder, engine=False)
        except AlreadyRunning:  # another command, or an engine that starts just now
            if time.monotonic() > began + _PATIENCE_S:
                raise
        except EngineUnreachable as error:  # it starts or ends just now, or its warehouse fails
            why = _failure(settings)
            if time.monotonic() > began + (_PATIENCE_S if why is None else _FAILING_S):
                raise EngineUnreachable(
                    f"the warehouse of the running engine does not answer: {why or error}; "
                    f"`{command_line('doctor', settings)}` says more"
                ) from error
        time.sleep(_PAUSE_S)


def _failure(settings: Settings) -> str | None:
    """The error that ended the role last, when it did not run well since."""
    try:
        return settings.failure_file("warehouse").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError):
        return None


def _check_there(settings: Settings) -> None:
    if not settings.warehouse_file.exists():
        raise WarehouseError(
            f"no warehouse in {settings.data}: start `{command_line('up', settings)}` first, or "
            "name the folder with --data"
        )


def _read(settings: Settings, sql: str, dialect: str | None) -> pa.Table:
    from penstock.warehouses.duckdb import DuckDbWarehouse

    warehouse = DuckDbWarehouse(
        settings.warehouse_file,
        memory=settings.warehouse_memory,
        sql_timeout=settings.sql_timeout.total_seconds(),
    )
    try:
        return warehouse.query(sql, dialect)
    finally:
        warehouse.close()
