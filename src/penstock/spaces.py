"""A quick look at what profiles are to compute, without the library of the state store."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from penstock import logs
from penstock.profiles.identity.rules import SpaceSetup
from penstock.profiles.language.definitions import AudienceSetup, TraitSetup
from penstock.profiles.stream.definitions import Setups
from penstock.profiles.stream.role import DEFAULT_SPACE, SpacePlan

__all__ = ["ProfileSpaces"]

log = logs.get("penstock.workspace")
_EVERY_S = 0.5


class ProfileSpaces:
    """The spaces, with what is to be computed in each; looked up at most twice a second."""

    def __init__(self, file: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = file
        self._clock = clock
        self._next = 0.0
        self._revision = -1
        self._spaces: Mapping[str, SpacePlan] = {DEFAULT_SPACE: SpacePlan()}
        self._of: dict[str, str] = {}

    def __call__(self) -> Mapping[str, SpacePlan]:
        """By name; the same object while nothing changed.

        Those from before stay while the store can't be read.
        """
        now = self._clock()
        if now >= self._next:
            self._next = now + _EVERY_S
            self._look_quietly()
        return self._spaces

    def space_of(self, source: str) -> str:
        """Name of the space of a source, looked up now; the default one's for unknown ones."""
        if source not in self._of:
            self._look_quietly()
        space: str = self._of.get(source, DEFAULT_SPACE)
        return space

    def _look_quietly(self) -> None:
        try:
            self._look()
        except (sqlite3.Error, msgspec.MsgspecError) as error:
            log.warning("audiences can't be read; they stay as they were", error=error)

    def _look(self) -> None:
        if not self._file.is_file():
            return
        connection = sqlite3.connect(f"{self._file.absolute().as_uri()}?mode=ro", uri=True)
        try:
            (revision,) = connection.execute("SELECT revision FROM about").fetchone()
            if revision == self._revision:
                return
            self._of = dict(connection.execute("SELECT slug, space FROM sources").fetchall())
            rows = connection.execute("SELECT kind, slug, definition FROM definitions").fetchall()
        finally:
            connection.close()
        found = _spaces(rows, {DEFAULT_SPACE, *self._of.values()})
        if found != self._spaces:
            self._spaces = found
        self._revision = revision


def _spaces(rows: list[tuple[str, str, str]], names: set[str]) -> dict[str, SpacePlan]:
    spaces = {name: SpaceSetup(name) for name in names}
    audiences: dict[str, dict[str, AudienceSetup]] = {name: {} for name in names}
    traits: dict[str, dict[str, TraitSetup]] = {name: {} for name in names}
    for kind, slug, text in rows:
        document = {**msgspec.json.decode(text), "slug": slug}
        if kind == "space" and slug in names:
            spaces[slug] = msgspec.convert(document, SpaceSetup)
        elif kind == "audience":
            audience = msgspec.convert(document, AudienceSetup)
            audiences.setdefault(audience.space, {})[slug] = audience
        elif kind == "trait":
            trait = msgspec.convert(document, TraitSetup)
            traits.setdefault(trait.space, {})[slug] = trait
    return {
        name: SpacePlan(
            spaces[name].identity, Setups(audiences[name], traits[name]),
            spaces[name].trait_strategies,
        )
        for name in names
    }  # fmt: skip
