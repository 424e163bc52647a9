"""All that is done for one space."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from penstock import logs
from penstock.journal.contract import Journal
from penstock.profiles.identity.administration import Apart, unmerge
from penstock.profiles.identity.graph import IdentityGraph
from penstock.profiles.identity.rules import IdentityRules
from penstock.profiles.identity.tables import create_tables
from penstock.profiles.stream.conclusions import Conclusions
from penstock.profiles.stream.definitions import Computed, Definitions, Setups
from penstock.profiles.stream.file import ProfileFile, file_of
from penstock.profiles.stream.history import Histories
from penstock.profiles.stream.outbox import Outbox
from penstock.profiles.stream.profile import Profile
from penstock.profiles.stream.sweep import Sweep
from penstock.profiles.stream.worker import SpaceWorker

__all__ = ["Space"]

log = logs.get("penstock.profiles")
_DAY_US = 86_400_000_000


def _now_us() -> int:
    return time.time_ns() // 1000


class Space:
    """Reads events, back-fills, sweeps and tells, in turns; nothing of it waits for the rest."""

    def __init__(
        self,
        name: str,
        folder: Path,
        journal: Journal,
        outbox: Outbox,
        rules: IdentityRules,
        *,
        belongs: Callable[[str], bool],
        clock_us: Callable[[], int] = _now_us,
        capacity: int = 200_000,
    ) -> None:
        """``folder``: where the files of all spaces are. Raises ProfileError, FormatTooNew."""
        self.name = name
        self.file = ProfileFile(file_of(folder, name), create_tables)
        connection = self.file.connection
        self.graph = IdentityGraph(connection, rules, name)
        self.worker = SpaceWorker(
            name, journal, self.file, self.graph,
            belongs=belongs, clock_us=clock_us, capacity=capacity,
        )  # fmt: skip
        self._outbox = outbox
        self._clock_us = clock_us
        self._histories = Histories(connection, journal)
        self._sweep = Sweep(connection)
        self._definitions = Definitions(connection, clock_us)
        self._setups = Setups()
        self._strategies: Mapping[str, str] = {}
        self._computed: Computed | None = None
        self.conclusions: Conclusions | None = None

    def adopt(self, setups: Setups, strategies: Mapping[str, str]) -> None:
        """Compute these from now on. Raises ConfigurationError, ProfileError; then all stays."""
        if self._computed is not None and (setups, strategies) == (self._setups, self._strategies):
            self._use(self._computed)
            return
        with self.file.transaction():
            others = self._definitions.differ(setups)
            computed = self._definitions.adopt(
                setups, lambda keys: self._histories.begin(keys, self.worker.positions)
            )
            if others:
                self._sweep.begin()
        self._setups, self._strategies = setups, strategies
        self._use(computed)

    def _use(self, computed: Computed) -> None:
        self._computed = computed
        self.conclusions = Conclusions(
            computed.evaluator, computed.setups.audiences, computed.setups.traits,
            self._strategies, self._subject,
        )  # fmt: skip
        observing = computed.observer.only(computed.collected)
        self.worker.use(self.conclusions, observing, self._strategies)

    def _subject(self, profile: Profile) -> tuple[str, str, tuple[tuple[str, str], ...]]:
        if profile.ids is None:
            profile.ids = tuple((one.type, one.value) for one in self.graph.ids_of(profile.id))
        if not profile.public_id:
            profile.public_id = self.graph.public_id(profile.id)
        return self.name, profile.public_id, profile.ids

    def step(self) -> int:
        """A turn; returns how much there was to do. Raises ProfileError, JournalError."""
        done = self.worker.step()
        done += self._read_history()
        done += self._advance_sweep()
        return done + self._outbox.forward(self.file, self.name)

    def _read_history(self) -> int:
        computed = self._computed
        current = self._histories.current()
        if computed is None or current is None:
            return 0
        number, keys = current
        observing = computed.observer.only(keys)
        try:
            with self.worker.batch() as connection:
                over = self._histories.read(
                    number, self.worker.people, self.graph.canonical, observing
                )
                self._histories.write(connection)
                if over:
                    self._sweep.begin()
        except BaseException:
            self._histories.settle()
            self._sweep.reload()
            raise
        self._histories.settle()
        if over:
            self._use(self._recomputed())
        return 1

    def _recomputed(self) -> Computed:
        assert self._computed is not None
        with self.file.transaction():
            wanted = Setups(
                {slug: one for slug, one in self._setups.audiences.items() if one.enabled},
                {slug: one for slug, one in self._setups.traits.items() if one.enabled},
            )
            return self._definitions.compute(wanted, self._computed.observer)

    def _advance_sweep(self) -> int:
        computed = self._computed
        if computed is None or self._sweep.next is None:
            return 0
        try:
            with self.worker.batch() as connection:
                over = self._sweep.advance(self.worker.people, computed.collected)
                self._sweep.write(connection)
        except BaseException:
            self._sweep.reload()
            raise
        if over:
            self._swept()
        return 1

    def _swept(self) -> None:
        """What was leaving is gone from every state; what is wanted again is filled anew."""
        with self.file.transaction():
            again = self._definitions.swept()
            if again:
                computed = self._definitions.adopt(
                    self._setups, lambda keys: self._histories.begin(keys, self.worker.positions)
                )
        if again:
            self._use(computed)

    def unmerge(self, merge: int, by: str) -> Apart:
        """Undo a merge; see ``identity.administration.unmerge``. Raises NotFound, ProfileError."""
        with self.worker.batch():
            found = unmerge(self.graph, merge, by, self._clock_us())
            self.worker.people.split(found.profile, found.apart)
        return found

    def note_sizes(self) -> None:
        """Keep today's size of each audience."""
        day = self._clock_us() // _DAY_US
        with self.file.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO sizes"
                " SELECT slug, ?, (SELECT count(*) FROM members WHERE audience = slug)"
                " FROM computations WHERE kind = 'audience' AND state = 'live'",
                (day,),
            )

    def remaining_history(self) -> int:
        """Events that audiences and traits in preparation still have to be shown."""
        return self._histories.remaining()

    def close(self) -> None:
        """Close the file."""
        self.worker.tell_positions()
        self.file.close()
