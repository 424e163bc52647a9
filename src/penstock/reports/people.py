"""Rows of event tables with the person they belong to, as SQL in DuckDB's dialect."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.reports.contract import Catalog, Identity

__all__ = ["Reading", "literal", "name"]


def name(identifier: str) -> str:
    """A quoted identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A quoted text."""
    return "'" + text.replace("'", "''") + "'"


class Reading:
    """Writes the selects of one report, and notes what is not there."""

    def __init__(self, catalog: Catalog, sources: Sequence[str], identity: Identity) -> None:
        self._catalog = catalog
        self._sources = tuple(sources)
        self._identity = identity
        self.missing: list[str] = []

    def people(self) -> str:
        """``anonymous_id, user_id``: whom an anonymous id was identified with.

        An id that several users shared belongs to the least of them, so that it is always the
        same one.
        """
        parts = [
            f"select anonymous_id, user_id from {name(source)}.identifies"
            for source in self._sources
            if {"anonymous_id", "user_id"} <= self._columns(source, "identifies")
        ]
        if not parts or self._identity == "raw":
            return (
                "select cast(null as varchar) as anonymous_id, cast(null as varchar) as user_id "
                "where 1 = 0"
            )
        return (
            f"select anonymous_id, min(user_id) as user_id from ({' union all '.join(parts)}) t "
            "where anonymous_id is not null and user_id is not null group by anonymous_id"
        )

    def events(self, table: str, columns: Sequence[str], where: str = "1 = 1") -> str:
        """``person, id, happened`` and ``columns`` of a table; needs ``people`` in the statement.

        ``where`` may use those columns. A missing column is null, a missing table has no rows. A
        column is missing when none of the tables has it.
        """
        parts = [self._of_source(source, table, columns) for source in self._sources]
        found = [part for part in parts if part] or [_none(columns)]
        rows = " union all ".join(found)
        self._note_absent(table, columns)
        chosen = "".join(f", t.{name(column)}" for column in columns if column != "id")
        return (
            "select coalesce(t.user_id, i.user_id, t.anonymous_id) as person, "
            f"t.id, t.happened{chosen} from ({rows}) t "
            f"left join people i on i.anonymous_id = t.anonymous_id where {where} "
            "and coalesce(t.user_id, i.user_id, t.anonymous_id) is not null"
        )

    def _of_source(self, source: str, table: str, columns: Sequence[str]) -> str:
        there = self._columns(source, table)
        if "timestamp" not in there:
            self.missing.append(f"{source}.{table}")
            return ""
        chosen = ['"timestamp" as happened']
        for column in _selected(columns):
            if column in there:
                chosen.append(name(column))
            else:
                chosen.append(f"cast(null as varchar) as {name(column)}")
        return f"select {', '.join(chosen)} from {name(source)}.{name(table)}"

    def _note_absent(self, table: str, columns: Sequence[str]) -> None:
        there = {source: self._columns(source, table) for source in self._sources}
        there = {source: known for source, known in there.items() if "timestamp" in known}
        for column in columns:
            if not any(column in known for known in there.values()):
                self.missing += [f"{source}.{table}.{column}" for source in there]

    def _columns(self, source: str, table: str) -> frozenset[str]:
        return self._catalog.get(source, {}).get(table, frozenset())


def _selected(columns: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(("id", "user_id", "anonymous_id", *columns)))


def _none(columns: Sequence[str]) -> str:
    nulls = ", ".join(f"cast(null as varchar) as {name(column)}" for column in _selected(columns))
    return f"select cast(null as timestamp) as happened, {nulls} where 1 = 0"
