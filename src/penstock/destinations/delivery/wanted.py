"""Whether there is anything to deliver, asked so cheaply that it can be asked every second."""

from __future__ import annotations

import sqlite3
from pathlib import Path

__all__ = ["is_wanted"]

_ENABLED = "SELECT 1 FROM destinations WHERE enabled LIMIT 1"
_WORK = (
    "SELECT 1 FROM positions UNION ALL "
    "SELECT 1 FROM replays WHERE state IN ('waiting', 'running') LIMIT 1"
)


def is_wanted(state_file: Path, deliveries_file: Path) -> bool:
    """Whether a destination is enabled, a replay is to be done, or one that is gone to be left."""
    return _has(state_file, _ENABLED) or _has(deliveries_file, _WORK)


def _has(file: Path, query: str) -> bool:
    """Whether the query finds anything; not when there is no such file or table yet."""
    if not file.is_file():
        return False
    try:
        connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)
    except sqlite3.Error:
        return False
    try:
        return connection.execute(query).fetchone() is not None
    except sqlite3.Error:
        return False
    finally:
        connection.close()
