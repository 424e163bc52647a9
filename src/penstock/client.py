"""The warehouse from Python: ``penstock.connect(...).sql(...)``."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
import pyarrow as pa

from penstock.errors import EngineUnreachable, PenstockError, QueryRefused
from penstock.settings import load_settings

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-not-found,import-untyped,unused-ignore]

__all__ = ["Connection", "Result", "connect"]

_ARROW = "application/vnd.apache.arrow.stream"
_PATIENCE_S = 330.0
"""Longest wait for a query over HTTP, a little more than the default of sql_timeout."""
Query = Callable[[str, str | None], pa.Table]


class Result:
    """The rows of a query."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __len__(self) -> int:
        """How many rows there are."""
        return int(self._table.num_rows)

    def arrow(self) -> pa.Table:
        """A pyarrow Table, with the types of the warehouse."""
        return self._table

    def pandas(self) -> pd.DataFrame:
        """A pandas DataFrame. Raises PenstockError when pandas is not installed."""
        try:
            import pandas as pd  # noqa: F401 - pyarrow imports it by itself, and fails less clearly
        except ImportError as error:
            raise PenstockError(
                "pandas() needs another package: pip install 'penstock[pandas]'; "
                "arrow() and rows() work without it"
            ) from error
        return self._table.to_pandas()

    def rows(self) -> list[dict[str, Any]]:
        """A dictionary for each row, with Python values."""
        rows: list[dict[str, Any]] = self._table.to_pylist()
        return rows


class Connection:
    """Where queries go; there is nothing to close."""

    def __init__(self, query: Query) -> None:
        self._query = query

    def sql(self, query: str, *, dialect: str | None = None) -> Result:
        """The result of one statement that reads, in DuckDB's SQL or another dialect.

        Raises QueryRefused, or EngineUnreachable when nobody answers.
        """
        return Result(self._query(query, dialect))


def connect(place: str | os.PathLike[str] | None = None, *, token: str | None = None) -> Connection:
    """The warehouse of a data folder, or of the management API at an http(s) address.

    A data folder is asked through the running engine, or opened while none runs; without one it
    is PENSTOCK_DATA or ./penstock-data. An address needs a token with the right to query:
    ``token``, else PENSTOCK_TOKEN.
    """
    text = None if place is None else os.fspath(place)
    if text is not None and text.startswith(("http://", "https://")):
        found = token or os.environ.get("PENSTOCK_TOKEN", "")
        return Connection(_over_http(text.rstrip("/"), found))
    from penstock.cli.warehouse import run_query

    settings = load_settings({"data": None if text is None else Path(text)})
    return Connection(lambda sql, dialect: run_query(settings, sql, dialect))


def _over_http(url: str, token: str) -> Query:
    def query(sql: str, dialect: str | None) -> pa.Table:
        content = {"statement": sql, "dialect": dialect, "limit": None}
        headers = {"Accept": _ARROW, "Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(
            f"{url}/api/v1/sql", msgspec.json.encode(content), headers, method="POST"
        )
        try:
            with _opener(url).open(request, timeout=_PATIENCE_S) as answer:
                return pa.ipc.open_stream(answer.read()).read_all()
        except urllib.error.HTTPError as error:
            with error:
                raise _refused(error.code, error.read()) from error
        except (OSError, pa.ArrowException) as error:
            raise EngineUnreachable(f"{url}: {error}") from error

    return query


def _opener(url: str) -> urllib.request.OpenerDirector:
    """Proxies of the environment are not for this machine itself."""
    local = urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")
    return urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if local else []))


def _refused(status: int, content: bytes) -> PenstockError:
    try:
        error = msgspec.json.decode(content)["error"]
        code, message = str(error["code"]), str(error["message"])
    except (msgspec.DecodeError, KeyError, TypeError):
        code, message = "", content[:200].decode("utf-8", "replace").strip()
    if status in (401, 403):
        return PenstockError(f"{message or 'not allowed'} (give a token: connect(url, token=…))")
    if status < 500:
        return QueryRefused(message, code) if code.startswith("sql_") else QueryRefused(message)
    return EngineUnreachable(f"the server answered {status}: {message}")
