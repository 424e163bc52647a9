"""What a user's SQL may be: one statement that reads."""

from __future__ import annotations

import duckdb
import sqlglot
from sqlglot.errors import SqlglotError

from penstock.errors import QueryRefused

__all__ = ["DIALECT", "checked", "dialects"]

DIALECT = "duckdb"
_READING = {
    duckdb.StatementType.SELECT,
    duckdb.StatementType.EXPLAIN,
    duckdb.StatementType.RELATION,
}


def dialects() -> list[str]:
    """Names that ``dialect`` may have."""
    return sorted(name.value for name in sqlglot.Dialects if name.value)


def checked(sql: str, dialect: str | None) -> str:
    """The statement in the warehouse's own dialect.

    Raises QueryRefused unless it is exactly one statement that only reads.
    """
    statement = sql.strip().rstrip(";").strip()
    if dialect and dialect != DIALECT:
        statement = _translated(statement, dialect)
    try:
        statements = duckdb.extract_statements(statement)
    except duckdb.Error as error:
        raise QueryRefused(str(error)) from error
    if len(statements) != 1:
        raise QueryRefused(f"give exactly one statement, not {len(statements)}")
    if statements[0].type not in _READING:
        raise QueryRefused("only statements that read are allowed, such as SELECT")
    return statement


def _translated(sql: str, dialect: str) -> str:
    if dialect not in dialects():
        raise QueryRefused(f"unknown dialect {dialect!r}; one of {', '.join(dialects())}")
    try:
        translated = sqlglot.transpile(sql, read=dialect, write=DIALECT)
    except SqlglotError as error:
        raise QueryRefused(f"not valid {dialect} SQL: {error}") from error
    if len(translated) != 1:
        raise QueryRefused(f"give exactly one statement, not {len(translated)}")
    return translated[0]
