"""A quick look at the state store, for processes that are too small for its library."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import msgspec

from penstock import logs
from penstock.destinations.model import FunctionSetup
from penstock.errors import ConfigurationError
from penstock.events.model import Source
from penstock.warehouses.selective import SelectiveSync, SourceSync, compile_sync

__all__ = ["FunctionSetups", "SourceSetups", "SyncRules", "Whole"]

log = logs.get("penstock.workspace")
_EVERY_S = 1.0
_decode = msgspec.json.Decoder(dict[str, SourceSync]).decode


class SyncRules:
    """The selective sync of a warehouse, as it is now; looked up at most once a second."""

    def __init__(
        self, file: Path, warehouse: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._file = file
        self._warehouse = warehouse
        self._clock = clock
        self._next = 0.0
        self._revision = -1
        self._rules: dict[str, SelectiveSync] = {}

    def __call__(self) -> Mapping[str, SelectiveSync]:
        """The rules by source. Those from before stay while the store can't be read."""
        now = self._clock()
        if now >= self._next:
            self._next = now + _EVERY_S
            try:
                self._look()
            except (sqlite3.Error, msgspec.DecodeError, ConfigurationError) as error:
                log.warning("selective sync can't be read; it stays as it was", error=error)
        return self._rules

    def _look(self) -> None:
        connection = sqlite3.connect(f"{self._file.absolute().as_uri()}?mode=ro", uri=True)
        try:
            (revision,) = connection.execute("SELECT revision FROM about").fetchone()
            if revision == self._revision:
                return
            row = connection.execute(
                "SELECT sources FROM warehouses WHERE slug = ?", [self._warehouse]
            ).fetchone()
        finally:
            connection.close()
        self._rules = compile_sync(_decode(row[0])) if row else {}
        self._revision = revision


class FunctionSetups:
    """The functions as they are now, secrets in clear; looked up at most once a second."""

    def __init__(
        self, file: Path, key_file: Path, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._file = file
        self._key_file = key_file
        self._clock = clock
        self._lock = threading.Lock()
        self._next = 0.0
        self._revision: int | None = None
        self._setups: Mapping[str, FunctionSetup] = {}

    def __call__(self) -> Mapping[str, FunctionSetup]:
        """By slug; the same object while nothing changed.

        Those from before stay while the store can't be read. Raises ConfigurationError when there
        are none from before: what they are for must not be left undone.
        """
        with self._lock:
            now = self._clock()
            if now >= self._next:
                self._next = now + _EVERY_S
                try:
                    self._look()
                except (sqlite3.Error, msgspec.MsgspecError, ConfigurationError) as error:
                    if self._revision is None:
                        self._next = now
                        raise ConfigurationError(f"functions can't be read: {error}") from error
                    log.warning("functions can't be read; they stay as they were", error=error)
            return self._setups

    def _look(self) -> None:
        if not self._file.is_file():
            return
        connection = sqlite3.connect(f"{self._file.absolute().as_uri()}?mode=ro", uri=True)
        connection.row_factory = sqlite3.Row
        try:
            (revision,) = connection.execute("SELECT revision FROM about").fetchone()
            if revision == self._revision:
                return
            rows = connection.execute("SELECT * FROM functions").fetchall()
        finally:
            connection.close()
        setups = [self._setup(row) for row in rows]
        found = {setup.slug: setup for setup in setups}
        if found != self._setups:
            self._setups = found
        self._revision = revision

    def _setup(self, row: sqlite3.Row) -> FunctionSetup:
        decode = msgspec.json.decode
        settings = decode(row["settings"])
        secrets = decode(row["secrets"])
        if secrets:
            from penstock.workspace.sealing import Seal  # takes memory that few need

            seal = Seal(self._key_file)
            settings |= {key: seal.open_up(sealed) for key, sealed in secrets.items()}
        return FunctionSetup(
            row["slug"], row["file"], tuple(decode(row["sources"])), settings,
            bool(row["enabled"]), row["timeout"], row["memory"], tuple(decode(row["network"])),
        )  # fmt: skip


class Whole(Protocol):
    """The workspace itself."""

    def browser_settings(self) -> Mapping[str, Mapping[str, Any]]:
        """What pages need for tools that run in the browser, by name, by slug of the source."""


class SourceSetups:
    """The sources, for a collector: it needs the workspace itself only with destinations."""

    def __init__(self, file: Path, open_whole: Callable[[], Whole]) -> None:
        """``open_whole`` opens the workspace; it makes the store, or brings it forward."""
        self._uri = f"{file.absolute().as_uri()}?mode=ro"
        self._open_whole = open_whole
        self._whole: Whole | None = None

    def revision(self) -> int:
        """Grows with every change of the workspace."""
        return int(self._rows("SELECT revision FROM about")[0][0])

    def sources(self) -> list[Source]:
        """All sources, by slug."""
        rows = self._rows(
            "SELECT slug, name, type, space, enabled, write_keys, rate_limit FROM sources "
            "ORDER BY slug"
        )
        return [
            Source(
                slug, name, kind, space=space, enabled=bool(enabled),
                write_keys=tuple(msgspec.json.decode(keys)), rate_limit=rate_limit,
            )
            for slug, name, kind, space, enabled, keys, rate_limit in rows
        ]  # fmt: skip

    def browser_settings(self) -> Mapping[str, Mapping[str, Any]]:
        """As the workspace says it."""
        if not self._rows("SELECT 1 FROM destinations WHERE enabled LIMIT 1"):
            return {}
        return self._opened().browser_settings()

    def _rows(self, query: str) -> list[Any]:
        try:
            return self._ask(query)
        except sqlite3.OperationalError:
            if self._whole is not None:
                raise
        self._opened()
        return self._ask(query)

    def _ask(self, query: str) -> list[Any]:
        with closing(sqlite3.connect(self._uri, uri=True, timeout=30)) as connection:
            return connection.execute(query).fetchall()

    def _opened(self) -> Whole:
        if self._whole is None:
            self._whole = self._open_whole()
        return self._whole
