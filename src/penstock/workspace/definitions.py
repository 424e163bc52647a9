"""Audiences, traits and spaces: read, checked against each other, and stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from sqlalchemy import Connection, Engine, select, update

from penstock.errors import ConfigurationError
from penstock.profiles.checking import check_definitions
from penstock.profiles.identity.rules import SpaceSetup
from penstock.profiles.language.definitions import AudienceSetup, TraitSetup
from penstock.workspace import source_rows
from penstock.workspace.audit import Actor, command_line_actor
from penstock.workspace.database import writing
from penstock.workspace.definition_rows import AUDIENCES, SPACES, TRAITS
from penstock.workspace.planning import Change, Contents
from penstock.workspace.rules import SLUG
from penstock.workspace.tables import about, destinations

__all__ = ["Definitions"]

_T = TypeVar("_T", AudienceSetup, TraitSetup)


class Definitions:
    """What profiles are to compute. Safe to use in many processes at once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def audiences(self) -> list[AudienceSetup]:
        """All audiences, by slug."""
        with self._engine.connect() as connection:
            return AUDIENCES.every(connection)

    def traits(self) -> list[TraitSetup]:
        """All computed traits, by slug."""
        with self._engine.connect() as connection:
            return TRAITS.every(connection)

    def spaces(self) -> list[SpaceSetup]:
        """The spaces that were described; others are as by default."""
        with self._engine.connect() as connection:
            return SPACES.every(connection)

    def audience(self, slug: str) -> AudienceSetup:
        """One audience. Raises NotFound."""
        with self._engine.connect() as connection:
            return AUDIENCES.one(connection, slug)

    def trait(self, slug: str) -> TraitSetup:
        """One computed trait. Raises NotFound."""
        with self._engine.connect() as connection:
            return TRAITS.one(connection, slug)

    def put(self, contents: Contents, by: Actor | None = None) -> list[Change]:
        """Create or replace all of it, or nothing. Raises ConfigurationError."""
        with writing(self._engine) as connection:
            changes = self.store(connection, contents, by or command_line_actor())
            if any(change.action != "keep" for change in changes):
                connection.execute(update(about).values(revision=about.c.revision + 1))
            return changes

    def store(
        self, connection: Connection, contents: Contents, by: Actor, *, dry_run: bool = False
    ) -> list[Change]:
        """The same in a transaction of others; nothing is committed."""
        _check(connection, contents)
        return [
            *(SPACES.put(connection, one, by, dry_run=dry_run) for one in contents.spaces),
            *(TRAITS.put(connection, one, by, dry_run=dry_run) for one in contents.traits),
            *(AUDIENCES.put(connection, one, by, dry_run=dry_run) for one in contents.audiences),
        ]

    def delete_audience(self, slug: str, by: Actor | None = None) -> None:
        """Forget an audience; who was in it keeps what destinations were told.

        Raises NotFound, and ConfigurationError when another definition needs it.
        """
        self._delete("audience", slug, by)

    def delete_trait(self, slug: str, by: Actor | None = None) -> None:
        """Forget a computed trait. Raises as ``delete_audience``."""
        self._delete("trait", slug, by)

    def _delete(self, kind: str, slug: str, by: Actor | None) -> None:
        with writing(self._engine) as connection:
            rows = AUDIENCES if kind == "audience" else TRAITS
            rows.delete(connection, slug, by or command_line_actor())
            try:
                _check(connection, Contents())
            except ConfigurationError as error:
                raise ConfigurationError(f"{slug} is still needed: {error}") from error
            connection.execute(update(about).values(revision=about.c.revision + 1))


def _check(connection: Connection, contents: Contents) -> None:
    """Everything there will be, together: names that are referred to exist, and no cycles."""
    known = {slug for (slug,) in connection.execute(select(destinations.c.slug))}
    known |= {one.slug for one in contents.destinations}  # not stored yet when nothing is to be
    spaces = {one.space for one in (*source_rows.every(connection), *contents.sources)}
    check_definitions(
        _merged(AUDIENCES.every(connection), contents.audiences),
        _merged(TRAITS.every(connection), contents.traits),
        destinations=known,
        spaces={"default", *spaces, *(one.slug for one in contents.spaces)},
    )
    for section, every in (
        ("spaces", contents.spaces), ("traits", contents.traits), ("audiences", contents.audiences),
    ):  # fmt: skip
        for one in every:
            if not SLUG.fullmatch(one.slug):
                raise ConfigurationError(
                    f"{section}.{one.slug}: a slug begins with a small letter, and has small "
                    "letters, digits and _ alone, at most 63"
                )
    for space in contents.spaces:
        try:
            space.check()
        except ConfigurationError as error:
            raise ConfigurationError(f"spaces.{space.slug}: {error}") from error


def _merged(stored: Sequence[_T], wanted: Sequence[_T]) -> dict[str, _T]:
    merged = {one.slug: one for one in stored}
    merged.update({one.slug: one for one in wanted})
    return merged
