"""``penstock sql``: query the warehouse."""

from __future__ import annotations

import csv
import io
import shutil
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import pyarrow as pa
import typer

from penstock.cli.options import DataOption, UsageError
from penstock.cli.tables import as_table, plain, python_values
from penstock.cli.warehouse import run_query
from penstock.errors import ConfigurationError
from penstock.settings import load_settings

__all__ = ["Format", "sql"]

_encode = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode


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
    data: DataOption = None,
) -> None:
    """Query the warehouse with SQL, read-only.

    Asks the running engine, or opens the warehouse itself when none runs. Times are UTC. A table
    wider than the terminal is printed as one record after the other.

    Example: penstock sql "select event, count(*) from web.tracks group by 1"
    """
    if (query is None) == (file is None):
        raise UsageError("give either a query or -f FILE")
    to_terminal = output is None and sys.stdout.isatty()
    if form is Format.parquet and to_terminal:
        raise UsageError("parquet is binary: give -o FILE, or send the output to a file")
    text = query if query is not None else _read(file)
    result = run_query(load_settings({"data": data}), text, dialect)
    if form is Format.table:
        width = shutil.get_terminal_size().columns if to_terminal else None
        content = _table(result, width).encode(errors="replace")
        if result.num_rows == 0:
            typer.echo("no rows", err=True)
    else:
        content = _ENCODERS[form](result)
    if output is not None:
        output.write_bytes(content)
    else:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


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


def _csv(result: pa.Table) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(result.column_names)
    columns = [python_values(column) for column in result.columns]
    writer.writerows([plain(value) for value in row] for row in zip(*columns, strict=True))
    return text.getvalue().encode(errors="replace")


def _json(result: pa.Table) -> bytes:
    """An array with a line for each row; numbers are exact, NaN and infinities are null."""
    names = _told_apart(result).column_names
    columns = [python_values(column, "T") for column in result.columns]
    rows = (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))
    return b"[" + b",\n".join(map(_encode, rows)) + b"]\n"


def _parquet(result: pa.Table) -> bytes:
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(_told_apart(result), sink, compression="zstd")
    return bytes(sink.getvalue())


def _told_apart(result: pa.Table) -> pa.Table:
    """The same columns, a second one of a name being called ``name_1``."""
    names: list[str] = []
    for name in result.column_names:
        unique, number = name, 0
        while unique in names:
            number += 1
            unique = f"{name}_{number}"
        names.append(unique)
    return result.rename_columns(names)


_ENCODERS = {Format.csv: _csv, Format.json: _json, Format.parquet: _parquet}
