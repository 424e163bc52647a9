"""Reaching the warehouse: through the running engine, or by opening the file."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pyarrow as pa

from penstock.cli.options import command_line
from penstock.engine import DataFolderLock, is_running
from penstock.errors import EngineUnreachable, WarehouseError
from penstock.settings import Settings
from penstock.warehouses.service import ask, connect

__all__ = ["run_query"]

_PATIENCE_S = 20.0


def run_query(settings: Settings, sql: str, dialect: str | None = None) -> pa.Table:
    """The result of one read-only statement.

    Raises QueryRefused, or EngineUnreachable when an engine runs but does not answer.
    """
    if is_running(settings):
        return _ask(settings, sql, dialect)
    if not settings.warehouse_file.exists():
        raise WarehouseError(
            f"no warehouse in {settings.data}: start `{command_line('up', settings)}` first, or "
            "name the folder with --data"
        )
    from penstock.warehouses.duckdb import DuckDbWarehouse

    lock = DataFolderLock(settings.run_folder)
    try:
        warehouse = DuckDbWarehouse(
            Path(settings.warehouse_file),
            memory=settings.warehouse_memory,
            sql_timeout=settings.sql_timeout.total_seconds(),
        )
        try:
            return warehouse.query(sql, dialect)
        finally:
            warehouse.close()
    finally:
        lock.release()


def _ask(settings: Settings, sql: str, dialect: str | None) -> pa.Table:
    """Ask the engine, once, waiting for one that is just starting."""
    with _connected(settings) as connection:
        return ask(connection, sql, dialect)


def _connected(settings: Settings) -> socket.socket:
    path = settings.socket_file
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return connect(path, settings.sql_timeout.total_seconds() + 10)
        except EngineUnreachable:
            if time.monotonic() > deadline or not is_running(settings):
                raise
            time.sleep(0.2)
