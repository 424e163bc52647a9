"""Destinations and functions as rows: what is public in clear, and each secret closed up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
from sqlalchemy import Connection, Table, delete, insert, select, update

from penstock.destinations.model import DestinationSetup, FunctionSetup
from penstock.errors import ConfigurationError, NotFound
from penstock.workspace.audit import Actor, write
from penstock.workspace.planning import Change
from penstock.workspace.sealing import MASK, Seal

__all__ = ["Resources", "function_secrets"]

T = TypeVar("T", DestinationSetup, FunctionSetup)
Row = dict[str, Any]
_OWN = frozenset({"secrets", "since_us"})
"""Columns that are no fields."""


@dataclass(frozen=True)
class Resources(Generic[T]):
    """One kind of resource in its table. Nothing here commits."""

    kind: str
    """Such as ``destination``; its plural is the section of the workspace file."""
    table: Table
    setup: type[T]
    secret_keys: Callable[[T], frozenset[str]]
    """Which settings are secret."""
    seal: Seal

    def every(self, connection: Connection, *, secrets: bool) -> list[T]:
        """All of them, by slug; without ``secrets``, ``MASK`` stands for each.

        Raises ConfigurationError when secrets are wanted and can't be read.
        """
        rows = connection.execute(select(self.table).order_by(self.table.c.slug)).mappings()
        return [self._setup(dict(row), secrets) for row in rows]

    def one(self, connection: Connection, slug: str, *, secrets: bool) -> T:
        """One of them. Raises NotFound, and ConfigurationError as ``every``."""
        row = self._row(connection, slug)
        if row is None:
            raise NotFound(f"no {self.kind} {slug}")
        return self._setup(row, secrets)

    def find(self, connection: Connection, slug: str) -> T | None:
        """One of them without its secrets, or None."""
        row = self._row(connection, slug)
        return None if row is None else self._setup(row, secrets=False)

    def slugs(self, connection: Connection) -> set[str]:
        """The slug of each."""
        return set(connection.execute(select(self.table.c.slug)).scalars())

    def unmasked(self, connection: Connection, wanted: T) -> T:
        """The same, the stored secret in the place of each mask. Raises ConfigurationError."""
        masked = [key for key, value in wanted.settings.items() if value == MASK]
        if not masked:
            return wanted
        row = self._row(connection, wanted.slug)
        stored = row["secrets"] if row else {}
        settings = dict(wanted.settings)
        for key in masked:
            if key not in stored:
                raise ConfigurationError(
                    f"settings.{key}: {MASK} means the secret that is stored, and there is none; "
                    "give the secret itself"
                )
            settings[key] = self._opened(wanted.slug, key, stored[key])
        return msgspec.structs.replace(wanted, settings=settings)

    def change(self, connection: Connection, wanted: T) -> Change:
        """What ``put`` would do. ``wanted`` has its secrets in clear."""
        section = f"{self.kind}s"
        row = self._row(connection, wanted.slug)
        if row is None:
            return Change("create", section, wanted.slug)
        public, secret = self._parts(wanted)
        fields = [name for name, value in public.items() if row[name] != value]
        stored = row["secrets"]
        same = stored.keys() == secret.keys() and all(
            self.seal.opens_to(stored[key], value) for key, value in secret.items()
        )
        if not same and "settings" not in fields:
            fields.append("settings")
        if fields:
            return Change("update", section, wanted.slug, ", ".join(fields))
        return Change("keep", section, wanted.slug)

    def put(self, connection: Connection, wanted: T, by: Actor, **own: Any) -> Change:
        """Create or replace it; ``wanted`` has its secrets in clear, ``own`` are more columns."""
        change = self.change(connection, wanted)
        if change.action == "keep":
            return change
        before = self._row(connection, wanted.slug)
        public, secret = self._parts(wanted)
        stored = before["secrets"] if before else {}
        sealed = {key: self._closed(value, stored.get(key)) for key, value in secret.items()}
        values = {**public, "secrets": sealed, **own}
        if before is None:
            connection.execute(insert(self.table).values(slug=wanted.slug, **values))
        else:
            here = self.table.c.slug == wanted.slug
            connection.execute(update(self.table).where(here).values(**values))
        write(
            connection,
            by,
            change.action,
            f"{self.kind}:{wanted.slug}",
            before=None if before is None else self._told(before),
            after=self._told({**values, "slug": wanted.slug}),
        )
        return change

    def delete(self, connection: Connection, slug: str, by: Actor) -> None:
        """Forget it. Raises NotFound."""
        before = self._row(connection, slug)
        if before is None:
            raise NotFound(f"no {self.kind} {slug}")
        connection.execute(delete(self.table).where(self.table.c.slug == slug))
        write(connection, by, "delete", f"{self.kind}:{slug}", before=self._told(before))

    def _row(self, connection: Connection, slug: str) -> Row | None:
        found = connection.execute(select(self.table).where(self.table.c.slug == slug))
        row = found.mappings().first()
        return dict(row) if row else None

    def _setup(self, row: Row, secrets: bool) -> T:
        opened = {
            key: self._opened(row["slug"], key, sealed) if secrets else MASK
            for key, sealed in row["secrets"].items()
        }
        fields = {str(name): value for name, value in row.items() if name not in _OWN}
        return msgspec.convert({**fields, "settings": {**row["settings"], **opened}}, self.setup)

    def _parts(self, wanted: T) -> tuple[Row, dict[str, Any]]:
        """The public columns, and the secrets in clear."""
        hidden = self.secret_keys(wanted)
        names = [name for name in self.setup.__struct_fields__ if name not in ("slug", "settings")]
        public = {name: _stored(getattr(wanted, name)) for name in names}
        given = _stored(wanted.settings)
        public["settings"] = {key: value for key, value in given.items() if key not in hidden}
        return public, {key: value for key, value in given.items() if key in hidden}

    def _closed(self, value: Any, sealed: str | None) -> str:
        """What is stored of a secret: as it was when it is the same one."""
        if sealed is not None and self.seal.opens_to(sealed, value):
            return sealed
        return self.seal.close_up(value)

    def _opened(self, slug: str, key: str, sealed: str) -> Any:
        try:
            return self.seal.open_up(sealed)
        except ConfigurationError as error:
            raise ConfigurationError(f"{self.kind}s.{slug}: settings.{key}: {error}") from error

    def _told(self, row: Row) -> Row:
        """As the audit log keeps it: without any secret, and without what says nothing."""
        settings = {**row["settings"], **dict.fromkeys(row["secrets"], MASK)}
        fields = {str(name): value for name, value in row.items() if name not in (*_OWN, "slug")}
        return {**fields, "settings": settings}


def _stored(value: Any) -> Any:
    """As it comes back from the store: a tuple as a list."""
    return msgspec.json.decode(msgspec.json.encode(value))


def function_secrets(setup: FunctionSetup) -> frozenset[str]:
    """Settings of a function that are taken for secrets: all but numbers and truths."""
    open_ones = (int, float, bool, type(None))
    return frozenset(k for k, value in setup.settings.items() if not isinstance(value, open_ones))
