"""``penstock sql``: query the warehouse."""

from __future__ import annotations

import csv
import io
import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import typer
from rich.console import Console
from rich.table import Table

from penstock.cli.options import DataOption
from penstock.cli.warehouse import run_query
from penstock.errors import ConfigurationError
from penstock.settings import load_settings

__all__ = ["Format", "sql"]


class Format(StrEnum):
    """How to print rows."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


def sql(
    query: Annotated[str | None, typer.Argument(help="One SQL statement that reads.")] = None,
    file: Annotated[Path | None, typer.Option("-f", "--file", help="Read it from a file.")] = None,
    dialect: Annotated[
        str | None,
        typer.Option(help="Dialect of the statement, such as redshift. Default: duckdb."),
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="How to print rows.")] = Format.table,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write to a file instead.")
    ] = None,
    data: DataOption = None,
) -> None:
    """Query the warehouse with SQL, read-only.

    Example: penstock sql "select event_text, count(*) from web.tracks group by 1"
    """
    if (query is None) == (file is None):
        raise ConfigurationError("give either a query or -f FILE")
    text = query if query is not None else _read(file)
    result = run_query(load_settings({"data": data}), text, dialect)
    if form is Format.table:
        _print_table(result, output)
        return
    content = _ENCODERS[form](result)
    if output is not None:
        output.write_bytes(content)
    else:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


def _read(file: Path | None) -> str:
    assert file is not None
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"can't read {file}: {error.strerror}") from error


def _print_table(result: pa.Table, output: Path | None) -> None:
    table = Table(show_edge=False, pad_edge=False)
    for field in result.schema:
        numeric = pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
        right = numeric or pa.types.is_decimal(field.type)
        table.add_column(field.name, justify="right" if right else "left", overflow="fold")
    columns = [column.to_pylist() for column in result.columns]
    for values in zip(*columns, strict=True):
        table.add_row(*("" if value is None else str(value) for value in values))
    if output is None:
        wide = None if sys.stdout.isatty() else 100_000
        Console(width=wide, markup=False, highlight=False).print(table, soft_wrap=wide is not None)
        return
    with output.open("w", encoding="utf-8") as stream:
        Console(file=stream, width=100_000, markup=False).print(table, soft_wrap=True)


def _csv(result: pa.Table) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(result.column_names)
    writer.writerows(zip(*(column.to_pylist() for column in result.columns), strict=True))
    return text.getvalue().encode()


def _json(result: pa.Table) -> bytes:
    return (json.dumps(result.to_pylist(), default=_plain, ensure_ascii=False) + "\n").encode()


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _parquet(result: pa.Table) -> bytes:
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(result, sink, compression="zstd")
    return bytes(sink.getvalue())


_ENCODERS = {Format.csv: _csv, Format.json: _json, Format.parquet: _parquet}
