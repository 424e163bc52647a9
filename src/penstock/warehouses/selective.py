"""Selective sync: which events and which of their properties a warehouse takes.

What is left out stays in the journal, so that a backfill can bring it later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.errors import ConfigurationError
from penstock.events.model import CALLS

if TYPE_CHECKING:  # it needs Arrow, which processes that only read the workspace do not
    from penstock.warehouses.staging import LoadedEvent

__all__ = ["ALL_EVENTS", "SelectiveSync", "SourceSync", "WarehouseSetup", "compile_sync"]

ALL_EVENTS = "*"
_OBJECTS = ("properties", "traits", "context")
_MOST_NAMES = 5_000
_Paths = Mapping[str, list[tuple[str, ...]]]
"""Paths below each of the three objects, split into keys."""


class SourceSync(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What of one source a warehouse takes; by default everything."""

    enabled: bool = True
    without_events: list[str] = []
    """Names of track events, or calls such as ``$identify``."""
    without_properties: dict[str, list[str]] = {}
    """By event, call or ``*``: paths such as ``properties.coupon`` or ``context.ip``."""


class WarehouseSetup(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a warehouse takes: part of the workspace."""

    slug: str
    """The warehouse's id."""
    sources: dict[str, SourceSync] = {}
    """By slug of the source; of one that is not named, everything."""


class SelectiveSync:
    """The rules of one source, ready to be asked for each event."""

    def __init__(self, sync: SourceSync) -> None:
        """Raises ConfigurationError for what can't be meant."""
        named = [*sync.without_events, *sync.without_properties]
        if len(named) > _MOST_NAMES:
            raise ConfigurationError(f"selective sync knows at most {_MOST_NAMES:,} events")
        for name in named:
            if name.startswith("$") and name[1:] not in CALLS:
                calls = ", ".join(f"${call}" for call in CALLS)
                raise ConfigurationError(f"{name}: there is no such call; one of {calls}")
        self._enabled = sync.enabled
        self._without = frozenset(sync.without_events)
        self._paths = {name: _split(paths) for name, paths in sync.without_properties.items()}

    def admits(self, event: LoadedEvent) -> bool:
        """Whether the event is loaded; what is not wanted of it is taken out in place."""
        call = f"${event.type}"
        name = event.event if event.event is not None and event.type == "track" else call
        if not self._enabled or name in self._without or call in self._without:
            return False
        for key in {ALL_EVENTS, call, name}:
            paths = self._paths.get(key)
            if paths is not None:
                _take_out(event, paths)
        return True


def compile_sync(sources: Mapping[str, SourceSync]) -> dict[str, SelectiveSync]:
    """The rules of a warehouse, by source. Raises ConfigurationError."""
    rules = {}
    for source, sync in sources.items():
        try:
            rules[source] = SelectiveSync(sync)
        except ConfigurationError as error:
            raise ConfigurationError(f"sources.{source}: {error}") from error
    return rules


def _split(paths: list[str]) -> _Paths:
    below: dict[str, list[tuple[str, ...]]] = {}
    for path in paths:
        first, *rest = path.split(".")
        if first not in _OBJECTS or not all(rest) or not rest:
            objects = ", ".join(f"{name}.…" for name in _OBJECTS)
            raise ConfigurationError(f"{path}: a property is {objects}")
        below.setdefault(first, []).append(tuple(rest))
    return below


def _take_out(event: LoadedEvent, paths: _Paths) -> None:
    for first, below in paths.items():
        held: dict[str, Any] | None = getattr(event, first)
        if held is not None:
            for path in below:
                _remove(held, path)


def _remove(held: Any, path: tuple[str, ...]) -> None:
    *above, last = path
    for key in above:
        held = held.get(key) if type(held) is dict else None
    if type(held) is dict:
        held.pop(last, None)
