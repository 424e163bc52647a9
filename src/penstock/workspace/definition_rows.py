"""Audiences, traits and spaces as rows of the state store: each a document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
from sqlalchemy import Connection, Table, delete, insert, select, update

from penstock.errors import NotFound
from penstock.profiles.identity.rules import SpaceSetup
from penstock.profiles.language.definitions import AudienceSetup, TraitSetup
from penstock.workspace.audit import Actor, write
from penstock.workspace.planning import Change
from penstock.workspace.tables import definitions

__all__ = ["AUDIENCES", "SPACES", "TRAITS", "Documents"]

T = TypeVar("T", AudienceSetup, TraitSetup, SpaceSetup)
_table: Table = definitions


@dataclass(frozen=True)
class Documents(Generic[T]):
    """One kind of definition. Nothing here commits."""

    kind: str
    """Such as ``audience``; its plural is the section of the workspace file."""
    setup: type[T]

    def every(self, connection: Connection) -> list[T]:
        """All of them, by slug."""
        query = select(_table.c.slug, _table.c.definition).where(_table.c.kind == self.kind)
        return [self._read(*row) for row in connection.execute(query.order_by(_table.c.slug))]

    def one(self, connection: Connection, slug: str) -> T:
        """One of them. Raises NotFound."""
        found = self.find(connection, slug)
        if found is None:
            raise NotFound(f"no {self.kind} {slug}")
        return found

    def find(self, connection: Connection, slug: str) -> T | None:
        """One of them, or None."""
        query = select(_table.c.definition).where(*self._here(slug))
        row = connection.execute(query).one_or_none()
        return None if row is None else self._read(slug, row[0])

    def put(self, connection: Connection, wanted: T, by: Actor, *, dry_run: bool = False) -> Change:
        """Create or replace it, unless it is a dry run or is so already."""
        before = self.find(connection, wanted.slug)
        if before == wanted:
            return Change("keep", f"{self.kind}s", wanted.slug)
        action = "create" if before is None else "update"
        change = Change(action, f"{self.kind}s", wanted.slug, _differences(before, wanted))
        if dry_run:
            return change
        document = _document(wanted)
        if before is None:
            row = {"kind": self.kind, "slug": wanted.slug, "definition": document}
            connection.execute(insert(_table).values(**row))
        else:
            here = update(_table).where(*self._here(wanted.slug))
            connection.execute(here.values(definition=document))
        told = None if before is None else _document(before)
        write(connection, by, action, f"{self.kind}:{wanted.slug}", before=told, after=document)
        return change

    def delete(self, connection: Connection, slug: str, by: Actor) -> None:
        """Forget it. Raises NotFound."""
        before = self.one(connection, slug)
        connection.execute(delete(_table).where(*self._here(slug)))
        write(connection, by, "delete", f"{self.kind}:{slug}", before=_document(before))

    def _here(self, slug: str) -> tuple[Any, Any]:
        return (_table.c.kind == self.kind, _table.c.slug == slug)

    def _read(self, slug: str, document: dict[str, Any]) -> T:
        return msgspec.convert({**document, "slug": slug}, self.setup)


def _document(setup: AudienceSetup | TraitSetup | SpaceSetup) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(setup)
    del document["slug"]
    return document


def _differences(before: Any, after: Any) -> str:
    if before is None:
        return ""
    names = type(after).__struct_fields__
    return ", ".join(name for name in names if getattr(before, name) != getattr(after, name))


AUDIENCES = Documents("audience", AudienceSetup)
TRAITS = Documents("trait", TraitSetup)
SPACES = Documents("space", SpaceSetup)
