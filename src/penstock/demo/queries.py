"""The guides' SQL, found in the installed package or in a checkout."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

from penstock.errors import DemoError

FOLDER = "examples/toastmates/sql"
"""Where the files lie in a checkout; a wheel carries them as `penstock/demo/sql`."""


@cache
def load_sql(name: str) -> str:
    """Text of one shipped query (`campaigns`), in the Redshift dialect."""
    packaged = files("penstock.demo") / "sql" / f"{name}.sql"
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    checkout = Path(__file__).resolve().parents[3] / FOLDER / f"{name}.sql"
    if not checkout.is_file():
        raise DemoError(f"the query {name}.sql is missing from this installation of penstock")
    return checkout.read_text(encoding="utf-8")
