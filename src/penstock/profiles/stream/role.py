"""The body of the profiles role, with what it needs of the workspace as a protocol."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from penstock import logs
from penstock.errors import ConfigurationError, PenstockError, ProfileError
from penstock.journal.contract import EVENTS, Journal
from penstock.profiles.identity.rules import IdentityRules
from penstock.profiles.stream.definitions import Setups
from penstock.profiles.stream.outbox import Outbox
from penstock.profiles.stream.space import Space
from penstock.profiles.stream.worker import consumer_of

__all__ = ["DEFAULT_SPACE", "ProfilesWorker", "SpaceFigures", "SpacePlan", "Spaces"]

log = logs.get("penstock.profiles")
DEFAULT_SPACE = "default"
_LOOK_S = 0.5
_AGAIN_S = 30.0
"""After so long a space that failed is opened again."""


@dataclass(frozen=True)
class SpacePlan:
    """What the workspace says of one space."""

    rules: IdentityRules = field(default_factory=IdentityRules)
    setups: Setups = field(default_factory=Setups)
    strategies: Mapping[str, str] = field(default_factory=dict)
    """How values of a custom trait that differ become one, by name of the trait."""


@dataclass(frozen=True)
class SpaceFigures:
    """Counts since the start, over all spaces."""

    events: int
    merges: int
    told: int
    """Events that were appended to ``received``."""
    history: int
    """Events that audiences and traits in preparation still have to be shown."""


class Spaces(Protocol):
    """The spaces as they are now; the same object while nothing changed."""

    def __call__(self) -> Mapping[str, SpacePlan]:
        """By name. Raises ConfigurationError when they can't be read."""

    def space_of(self, source: str) -> str:
        """Name of the space of a source, looked up now; the default one's for unknown ones."""


class ProfilesWorker:
    """All spaces, in one process."""

    def __init__(
        self,
        folder: Path,
        journal: Journal,
        spaces: Spaces,
        *,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """``folder``: where the files of all spaces are."""
        self._folder = folder
        self._journal = journal
        self._spaces = spaces
        self._clock_us = clock_us
        self._steady = steady
        self._outbox = Outbox(journal, clock_us)
        self._found: Mapping[str, SpacePlan] | None = None
        self._open: dict[str, Space] = {}
        self._failed: dict[str, float] = {}
        """Spaces that stand still, by when they are tried again."""
        self._next_look = 0.0

    @property
    def spaces(self) -> Mapping[str, Space]:
        """Those that are open, by name."""
        return self._open

    def step(self) -> int:
        """A turn of each space; returns how much there was to do."""
        now = self._steady()
        if now >= self._next_look:
            self._next_look = now + _LOOK_S
            self._look()
            for space in self._open.values():
                space.worker.tell_positions()
        return sum(self._step(name) for name in list(self._open))

    def _step(self, name: str) -> int:
        """A turn of one space; when its file fails, the others go on."""
        try:
            return self._open[name].step()
        except ProfileError as error:
            self._set_aside(name, error)
            return 0

    def _set_aside(self, name: str, error: ProfileError) -> None:
        log.error("the profiles of a space stand still, those of others go on",
                  space=name, error=error)  # fmt: skip
        self._failed[name] = self._steady() + _AGAIN_S
        space = self._open.pop(name, None)
        if space is not None:
            space.close()

    def _look(self) -> None:
        found = self._spaces()
        now = self._steady()
        due = {name for name, at in self._failed.items() if now >= at}
        if found is not self._found:
            stored = {file.stem for file in self._folder.glob("*.sqlite")}
            for name in (self._open.keys() | stored) - found.keys():
                self._leave(name)
            due = set(found)
        for name in due:
            self._failed.pop(name, None)
            try:
                self._adopt(name, found[name])
            except ProfileError as error:
                self._set_aside(name, error)
            except ConfigurationError as error:
                log.error("definitions can't be taken up; those from before stay",
                          space=name, error=error)  # fmt: skip
        self._found = found

    def _leave(self, name: str) -> None:
        """A space is gone: retention keeps nothing for it."""
        self._failed.pop(name, None)
        space = self._open.pop(name, None)
        if space is not None:
            space.close()
        self._journal.forget(consumer_of(name), EVENTS)

    def _adopt(self, name: str, setup: SpacePlan) -> None:
        space = self._open.get(name)
        if space is None:
            space = self._open[name] = Space(
                name, self._folder, self._journal, self._outbox, setup.rules,
                belongs=lambda slug: self._spaces.space_of(slug) == name, clock_us=self._clock_us,
            )  # fmt: skip
        space.graph.use(setup.rules)
        space.adopt(setup.setups, setup.strategies)

    def figures(self) -> SpaceFigures:
        """How much was done."""
        every = self._open.values()
        return SpaceFigures(
            sum(space.worker.events for space in every),
            sum(space.worker.merges for space in every),
            self._outbox.sent,
            sum(space.remaining_history() for space in every),
        )

    def maintain(self) -> None:
        """Once a minute: note how large audiences are, and let go what is not needed any more."""
        for space in self._open.values():
            try:
                space.note_sizes()
                space.worker.trim()
            except PenstockError as error:
                log.warning("sizes of audiences can't be noted", space=space.name, error=error)

    def close(self) -> None:
        """Close all files."""
        for space in self._open.values():
            space.close()
        self._outbox.close()
