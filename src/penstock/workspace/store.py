"""The state store's resources, and the way to its accounts and its audit log."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, select, update

from penstock.destinations.model import DestinationSetup, FunctionSetup
from penstock.errors import AlreadyExists, ConfigurationError
from penstock.events.model import Source
from penstock.settings import Settings
from penstock.warehouses.selective import WarehouseSetup
from penstock.workspace import source_rows as rows
from penstock.workspace import warehouse_rows
from penstock.workspace.accounts import Accounts
from penstock.workspace.audit import Actor, AuditLog, command_line_actor, write
from penstock.workspace.browser import browser_settings
from penstock.workspace.credentials import new_write_key
from penstock.workspace.database import open_state, writing
from penstock.workspace.definition_rows import AUDIENCES, SPACES, TRAITS
from penstock.workspace.definitions import Definitions
from penstock.workspace.destination_rules import (
    check_destination,
    check_function,
    secret_settings,
    tool_of,
)
from penstock.workspace.planning import Change, Contents, plan
from penstock.workspace.resources import Resources, function_secrets
from penstock.workspace.rules import check_keys
from penstock.workspace.sealing import KEY_NAME, Seal
from penstock.workspace.tables import about
from penstock.workspace.tables import destinations as destination_table
from penstock.workspace.tables import functions as function_table
from penstock.workspace.tables import sources as source_table

__all__ = ["Workspace", "new_write_key"]


def _now_us() -> int:
    return time.time_ns() // 1000


class Workspace:
    """Resources in the embedded state store. Safe to open in many processes at once."""

    def __init__(
        self,
        file: Path,
        *,
        key_file: Path | None = None,
        tools: Path | None = None,
        warehouse: str = "warehouse",
        now_us: Callable[[], int] = _now_us,
    ) -> None:
        """``key_file`` encrypts secrets, ``tools`` is the folder of tools that a user wrote.

        Both are beside the store unless they are given. ``warehouse`` is the id of the one there
        is.
        """
        self._engine = open_state(file)
        self._tools = tools or file.with_name("destinations")
        self._warehouse = warehouse
        self._now_us = now_us
        seal = Seal(key_file or file.with_name(KEY_NAME))
        self._destinations = Resources(
            "destination", destination_table, DestinationSetup,
            lambda setup: secret_settings(tool_of(setup, self._tools)), seal,
        )  # fmt: skip
        self._functions = Resources(
            "function", function_table, FunctionSetup, function_secrets, seal
        )
        self.accounts = Accounts(self._engine)
        self.definitions = Definitions(self._engine)
        self.audit = AuditLog(self._engine)

    @classmethod
    def of(cls, settings: Settings) -> Workspace:
        """The workspace of an installation."""
        return cls(
            settings.state_file,
            key_file=settings.secret_key_file,
            tools=settings.destinations_folder,
            warehouse=settings.warehouse_id,
        )

    def revision(self) -> int:
        """A number that grows with every change of a resource; cheap to ask for each second."""
        with self._engine.connect() as connection:
            return int(connection.execute(select(about.c.revision)).scalar_one())

    def contents(self) -> Contents:
        """Everything, secrets masked."""
        with self._engine.connect() as connection:
            return Contents(
                tuple(rows.every(connection)),
                tuple(self._destinations.every(connection, secrets=False)),
                tuple(self._functions.every(connection, secrets=False)),
                tuple(warehouse_rows.every(connection)),
                tuple(SPACES.every(connection)),
                tuple(TRAITS.every(connection)),
                tuple(AUDIENCES.every(connection)),
            )

    def apply(
        self, wanted: Contents, by: Actor | None = None, *, dry_run: bool = False
    ) -> tuple[list[Change], list[Source]]:
        """Create or replace all of it, or nothing; what ``wanted`` does not name stays.

        Returns each change, and the sources as they were stored, with the keys they were given.
        Raises ConfigurationError with the place of what is wrong.
        """
        actor = by or command_line_actor()
        with writing(self._engine) as connection:
            current = rows.every(connection)
            changes, sources = plan(current, list(wanted.sources))
            check_keys(current, sources)
            known = {source.slug: source for source in current}
            if not dry_run:
                for source in sources:
                    rows.put(connection, source, known.get(source.slug), actor)
            slugs = known.keys() | {source.slug for source in sources}
            named = {each.slug for each in wanted.functions} | self._functions.slugs(connection)
            for function in wanted.functions:
                put = partial(self._put_function, connection, function, actor, slugs)
                changes.append(_placed("functions", function.slug, put, dry_run))
            for destination in wanted.destinations:
                put = partial(self._put_destination, connection, destination, actor, slugs, named)
                changes.append(_placed("destinations", destination.slug, put, dry_run))
            for warehouse in wanted.warehouses:
                put = partial(self._put_warehouse, connection, warehouse, actor, slugs)
                changes.append(_placed("warehouses", warehouse.slug, put, dry_run))
            changes += self.definitions.store(connection, wanted, actor, dry_run=dry_run)
            if not dry_run and any(change.action != "keep" for change in changes):
                _grow(connection)
        return changes, sources

    def _put_warehouse(
        self,
        connection: Connection,
        wanted: WarehouseSetup,
        by: Actor,
        sources: set[str],
        dry_run: bool,
    ) -> Change:
        warehouse_rows.check(wanted, known=self._warehouse, sources=sources)
        return warehouse_rows.put(connection, wanted, by, dry_run)

    # Sources --------------------------------------------------------------------------------

    def sources(self) -> list[Source]:
        """All sources, by slug."""
        with self._engine.connect() as connection:
            return rows.every(connection)

    def source(self, slug: str) -> Source:
        """One source. Raises NotFound."""
        with self._engine.connect() as connection:
            return rows.one(connection, slug)

    def put_sources(self, sources: list[Source], by: Actor | None = None) -> None:
        """Create or replace sources, in one transaction.

        Raises ConfigurationError when a write key would belong to two sources.
        """
        self.change_sources(lambda _: sources, by)

    def change_sources(
        self, change: Callable[[list[Source]], list[Source]], by: Actor | None = None
    ) -> list[Source]:
        """Create or replace the sources that ``change`` makes of all that there are.

        Nobody changes any meanwhile. Returns what ``change`` did.
        """
        with writing(self._engine) as connection:
            before = {source.slug: source for source in rows.every(connection)}
            changed = change(list(before.values()))
            check_keys(before.values(), changed)
            for source in changed:
                rows.put(connection, source, before.get(source.slug), by or command_line_actor())
            if changed:
                _grow(connection)
            return changed

    def change_source(
        self, slug: str, change: Callable[[Source], Source], by: Actor | None = None
    ) -> Source:
        """Replace a source by what ``change`` makes of it. Raises NotFound."""
        with writing(self._engine) as connection:
            before = rows.one(connection, slug)
            after = change(before)
            if after != before:
                check_keys(rows.every(connection), [after])
                rows.put(connection, after, before, by or command_line_actor())
                _grow(connection)
            return after

    def delete_source(self, slug: str, by: Actor | None = None) -> None:
        """Forget a source; its events stay. Raises NotFound."""
        with writing(self._engine) as connection:
            before = rows.one(connection, slug)
            connection.execute(delete(source_table).where(source_table.c.slug == slug))
            _grow(connection)
            actor = by or command_line_actor()
            write(connection, actor, "delete", f"source:{slug}", before=rows.told(before))

    # Destinations ---------------------------------------------------------------------------

    def destinations(self, *, secrets: bool = True) -> list[DestinationSetup]:
        """All destinations, by slug; without ``secrets``, a mask stands for each.

        Raises ConfigurationError when secrets are wanted and their key is missing or another.
        """
        with self._engine.connect() as connection:
            return self._destinations.every(connection, secrets=secrets)

    def destination(self, slug: str, *, secrets: bool = True) -> DestinationSetup:
        """One destination. Raises NotFound, and ConfigurationError as ``destinations``."""
        with self._engine.connect() as connection:
            return self._destinations.one(connection, slug, secrets=secrets)

    def destination_starts(self) -> dict[str, int]:
        """When each was created, or last enabled again, in microseconds since 1970."""
        columns = (destination_table.c.slug, destination_table.c.since_us)
        with self._engine.connect() as connection:
            return {slug: since for slug, since in connection.execute(select(*columns))}

    def put_destinations(
        self, destinations: list[DestinationSetup], by: Actor | None = None
    ) -> list[Change]:
        """Create or replace destinations, all or none. Raises ConfigurationError."""
        return self.apply(Contents(destinations=tuple(destinations)), by)[0]

    def add_destination(self, destination: DestinationSetup, by: Actor | None = None) -> None:
        """Create a destination. Raises AlreadyExists, ConfigurationError."""
        with writing(self._engine) as connection:
            if destination.slug in self._destinations.slugs(connection):
                raise AlreadyExists(f"there is a destination {destination.slug} already")
            self._store_destination(connection, destination, by or command_line_actor())

    def change_destination(
        self,
        slug: str,
        change: Callable[[DestinationSetup], DestinationSetup],
        by: Actor | None = None,
    ) -> DestinationSetup:
        """Replace a destination by what ``change`` makes of it; secrets are masked for it.

        A mask that it leaves means the stored secret. Raises NotFound, ConfigurationError.
        """
        with writing(self._engine) as connection:
            before = self._destinations.one(connection, slug, secrets=False)
            self._store_destination(connection, change(before), by or command_line_actor())
            return self._destinations.one(connection, slug, secrets=False)

    def renew_token(self, slug: str, token: str, by: Actor) -> None:
        """Keep the refresh token that a tool gave for the one before. Raises NotFound."""
        renewed = {"refresh_token": token}
        self.change_destination(
            slug,
            lambda before: msgspec.structs.replace(before, settings={**before.settings, **renewed}),
            by,
        )

    def delete_destination(self, slug: str, by: Actor | None = None) -> None:
        """Forget a destination; what waits for it is not sent. Raises NotFound."""
        with writing(self._engine) as connection:
            self._destinations.delete(connection, slug, by or command_line_actor())
            _grow(connection)

    def browser_settings(self) -> Mapping[str, Mapping[str, Any]]:
        """What pages need for tools that run in the browser, by name of the tool, by source."""
        with self._engine.connect() as connection:
            found = self._destinations.every(connection, secrets=False)
            sources = [source.slug for source in rows.every(connection)] if found else []
        return browser_settings(found, sources, self._tools)

    # Functions ------------------------------------------------------------------------------

    def functions(self, *, secrets: bool = True) -> list[FunctionSetup]:
        """All functions, by slug; settings are secrets as for ``destinations``."""
        with self._engine.connect() as connection:
            return self._functions.every(connection, secrets=secrets)

    def function(self, slug: str, *, secrets: bool = True) -> FunctionSetup:
        """One function. Raises NotFound, and ConfigurationError as ``destinations``."""
        with self._engine.connect() as connection:
            return self._functions.one(connection, slug, secrets=secrets)

    def put_functions(
        self, functions: list[FunctionSetup], by: Actor | None = None
    ) -> list[Change]:
        """Create or replace functions, all or none. Raises ConfigurationError."""
        return self.apply(Contents(functions=tuple(functions)), by)[0]

    def delete_function(self, slug: str, by: Actor | None = None) -> None:
        """Forget a function. Raises NotFound, and ConfigurationError when one needs it."""
        with writing(self._engine) as connection:
            for each in self._destinations.every(connection, secrets=False):
                if slug in each.functions:
                    raise ConfigurationError(
                        f"destination {each.slug} uses {slug}; take it out of its functions first"
                    )
            self._functions.delete(connection, slug, by or command_line_actor())
            _grow(connection)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _store_destination(
        self, connection: Connection, wanted: DestinationSetup, by: Actor
    ) -> None:
        sources = {source.slug for source in rows.every(connection)}
        functions = self._functions.slugs(connection)
        change = self._put_destination(connection, wanted, by, sources, functions, False)
        if change.action != "keep":
            _grow(connection)

    def _put_destination(
        self,
        connection: Connection,
        wanted: DestinationSetup,
        by: Actor,
        sources: set[str],
        functions: set[str],
        dry_run: bool,
    ) -> Change:
        """Check it, and store it unless it is a dry run."""
        before = self._destinations.find(connection, wanted.slug)
        if before is not None and before.type != wanted.type:
            raise ConfigurationError(
                f"type: it is a {before.type}; delete it first, or choose another slug"
            )
        tool = tool_of(wanted, self._tools)
        clear = self._destinations.unmasked(connection, wanted)
        check_destination(tool, clear, sources=sources, functions=functions)
        if dry_run:
            return self._destinations.change(connection, clear)
        own = {} if before and before.enabled >= clear.enabled else {"since_us": self._now_us()}
        return self._destinations.put(connection, clear, by, **own)

    def _put_function(
        self,
        connection: Connection,
        wanted: FunctionSetup,
        by: Actor,
        sources: set[str],
        dry_run: bool,
    ) -> Change:
        clear = self._functions.unmasked(connection, wanted)
        check_function(clear, sources=sources)
        if dry_run:
            return self._functions.change(connection, clear)
        return self._functions.put(connection, clear, by)


def _placed(section: str, slug: str, put: Callable[[bool], Change], dry_run: bool) -> Change:
    """What ``put`` did; its errors name the place."""
    try:
        return put(dry_run)
    except ConfigurationError as error:
        raise ConfigurationError(f"{section}.{slug}: {error}") from error


def _grow(connection: Connection) -> None:
    connection.execute(update(about).values(revision=about.c.revision + 1))
