"""``penstock sql``: query the warehouse."""

from __future__ import annotations

import shutil
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import typer

from penstock.cli.engine_api import EngineApi, UrlOption, local_api, remote_api
from penstock.cli.options import DataOption, UsageError
from penstock.cli.tables import as_table
from penstock.cli.warehouse import run_query
from penstock.errors import ConfigurationError, EngineUnreachable
from penstock.settings import load_settings
from penstock.warehouses.rows import as_csv, encode_values, python_values, told_apart
from penstock.warehouses.running import check_length

__all__ = ["Format", "ask", "check_form", "put_out", "sql"]

_ARROW = "application/vnd.apache.arrow.stream"
_SLACK_S = 20.0


class Format(StrEnum):
    """How to print rows."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


def sql(
    query: Annotated[str | None, typer.Argument(help="One SQL statement that reads.")] = None,
    file: Annotated[
        Path | None, typer.Option("-f", "--file", help="Read it from a file; - is the input.")
    ] = None,
    dialect: Annotated[
        str | None, typer.Option(help="SQL dialect, such as redshift. Default: duckdb.")
    ] = None,
    form: Annotated[
        Format, typer.Option("--format", metavar="<format>", help="table, csv, json or parquet.")
    ] = Format.table,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write to a file instead.")
    ] = None,
    url: UrlOption = None,
    data: DataOption = None,
) -> None:
    """Query the warehouse with SQL, read-only.

    Asks the running engine, or that at --url or PENSTOCK_URL, or opens the warehouse itself when
    none runs. Times are UTC. A table wider than the terminal is printed as one record after the
    other.

    Example: penstock sql "select event, count(*) from web.tracks group by 1"
    """
    if (query is None) == (file is None):
        raise UsageError("give either a query or -f FILE")
    check_form(form, output)
    text = query if query is not None else _read(file)
    check_length(text)
    put_out(ask(text, dialect, url, data), form, output)


def check_form(form: Format, output: Path | None) -> None:
    """Raise UsageError for bytes that would go to a terminal."""
    if form is Format.parquet and output is None and sys.stdout.isatty():
        raise UsageError("parquet is binary: give -o FILE, or send the output to a file")


def put_out(result: pa.Table, form: Format, output: Path | None) -> None:
    """Print rows, or write them into a file."""
    to_terminal = output is None and sys.stdout.isatty()
    if form is Format.table:
        width = shutil.get_terminal_size().columns if to_terminal else None
        content = _table(result, width).encode(errors="replace")
        if result.num_rows == 0:
            typer.echo("no rows", err=True)
    else:
        content = _ENCODERS[form](result)
    if output is not None:
        output.write_bytes(content)
        rows = "1 row" if result.num_rows == 1 else f"{result.num_rows:,} rows"
        typer.echo(f"wrote {rows} as {form.value} to {output}", err=True)
    else:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


def ask(query: str, dialect: str | None, url: str | None, data: Path | None) -> pa.Table:
    """The result of a query, by the API where there is one."""
    remote = remote_api(url, data)
    settings = load_settings({"data": data})
    timeout = settings.sql_timeout.total_seconds() + _SLACK_S
    if remote is not None:
        return _fetched(remote, query, dialect, timeout)
    local = local_api(settings)
    if local is not None:
        try:
            return _fetched(local, query, dialect, timeout)
        except EngineUnreachable:  # it starts or ends just now, or has no API: ask the warehouse
            pass
    return run_query(settings, query, dialect)


def _fetched(api: EngineApi, query: str, dialect: str | None, timeout: float) -> pa.Table:
    body = {"statement": query, "dialect": dialect, "limit": None}
    content = api.fetch("POST", "/sql", body, accept=_ARROW, timeout=timeout)
    return pa.ipc.open_stream(content).read_all()


def _read(file: Path | None) -> str:
    assert file is not None
    if str(file) == "-":
        return sys.stdin.read()
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"can't read {file}: it is not UTF-8 text") from error
    except OSError as error:
        raise ConfigurationError(f"can't read {file}: {error.strerror}") from error


def _table(result: pa.Table, width: int | None) -> str:
    right = [
        pa.types.is_integer(field.type)
        or pa.types.is_floating(field.type)
        or pa.types.is_decimal(field.type)
        for field in result.schema
    ]
    columns = [python_values(column) for column in result.columns]
    rows = list(zip(*columns, strict=True))
    return as_table(result.column_names, rows, right=right, width=width)


def _json(result: pa.Table) -> bytes:
    """An array with a line for each row; numbers are exact, NaN and infinities are null."""
    names = told_apart(result).column_names
    columns = [python_values(column, "T") for column in result.columns]
    rows = (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))
    return b"[" + b",\n".join(map(encode_values, rows)) + b"]\n"


def _parquet(result: pa.Table) -> bytes:
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(told_apart(result), sink, compression="zstd")
    return bytes(sink.getvalue())


_ENCODERS = {Format.csv: as_csv, Format.json: _json, Format.parquet: _parquet}
