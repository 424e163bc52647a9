"""The collector's view of the sources: by write key, following changes while running."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Protocol

from penstock.events.model import Source

__all__ = ["SourceDirectory", "Sources"]

log = logging.getLogger("penstock.ingest")


class Sources(Protocol):
    """Where the sources are kept; the workspace is one."""

    def revision(self) -> int:
        """Grows with every change."""

    def sources(self) -> list[Source]:
        """All sources."""

    def browser_settings(self) -> Mapping[str, Mapping[str, Any]]:
        """What pages need for tools that run in the browser, by name, by slug of the source."""


class SourceDirectory:
    """Sources by write key; ``refresh`` is called every second."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._revision = -1
        self._by_key: dict[str, Source] = {}
        self._browser: Mapping[str, Mapping[str, Any]] = {}
        self.refresh()

    def find(self, key: str) -> Source | None:
        """The source with this write key."""
        return self._by_key.get(key)

    def browser_settings(self, source: Source) -> Mapping[str, Any]:
        """Settings of the tools that run in the pages of a source, by name."""
        return self._browser.get(source.slug, {})

    def refresh(self) -> None:
        """Read the sources again if any changed."""
        revision = self._sources.revision()
        if revision == self._revision:
            return
        by_key = {key: source for source in self._sources.sources() for key in source.write_keys}
        if by_key != self._by_key:
            level = logging.DEBUG if self._revision == -1 else logging.INFO
            keys = "write key" if len(by_key) == 1 else "write keys"
            log.log(level, "%d %s in force", len(by_key), keys)
        self._by_key = by_key
        self._browser = self._sources.browser_settings()
        self._revision = revision
