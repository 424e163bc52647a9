"""The stream says what a plain SQL query over all raw events says, whatever happened in between."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from penstock.profiles.identity.rules import Identifier, IdentityRules
from penstock.profiles.language.definitions import AudienceSetup, TraitSetup
from penstock.profiles.signals.keeping import Summing, Times
from penstock.profiles.stream.people import People
from penstock.profiles.stream.profile import Profile
from penstock.profiles.traits import custom
from tests.profiles.stream.batch import Batch, audiences, traits
from tests.profiles.stream.world import DAY_US, World

WANTED = audiences()
TRAITS = traits()
SEEDS = 14
STEPS = 90
CAUSES = ("late", "merge", "unmerge", "restart", "expiry")
UNMOVED = {("gold", "expiry")}
"""A custom trait that has no date in it stays as it is while time passes."""
_RULES = IdentityRules({"anonymous_id": Identifier(limit=100)})


class Walk:
    """A random walk through what can happen, and what it changed by cause."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.world = World(folder, _RULES)
        self.seen: dict[str, set[str]] = defaultdict(set)
        self.devices = 0
        self.world.define(
            *(AudienceSetup(one.slug, one.text) for one in WANTED),
            *(
                TraitSetup(slug, kind, event="X", of=of, within=within)  # type: ignore[arg-type]
                for slug, kind, of, within, _ in TRAITS
            ),
        )
        self.world.drain()

    def run(self, steps: int) -> None:
        actions: list[tuple[int, Callable[[], str]]] = [
            (10, self.happen), (6, self.late), (6, self.come), (4, self.time), (1, self.jump),
            (5, self.join), (3, self.say), (2, self.restart), (4, self.unmerge),
        ]  # fmt: skip
        weights = [weight for weight, _ in actions]
        for step in range(steps):
            before = self.members()
            (action,) = self.random.choices([one for _, one in actions], weights)
            cause = action()
            self.world.drain()
            self.note(cause, before, self.members())
            if step % 25 == 24:
                self.check()
        self.check()

    def note(self, cause: str, before: dict[str, set[int]], after: dict[str, set[int]]) -> None:
        for one in WANTED:
            if cause == "restart":
                if before[one.slug]:
                    self.seen[one.slug].add(cause)
                assert before[one.slug] == after[one.slug], f"{one.slug} changed by a restart"
            elif before[one.slug] != after[one.slug]:
                self.seen[one.slug].add(cause)

    def members(self) -> dict[str, set[int]]:
        found: dict[str, set[int]] = defaultdict(set)
        rows = self.world.space.file.connection.execute("SELECT audience, profile FROM members")
        for slug, profile in rows:
            found[slug].add(profile)
        return found

    # What can happen ------------------------------------------------------------------------

    def event(self, ago: float) -> None:
        properties: dict[str, Any] = {}
        if self.random.random() < 0.9:
            properties["n"] = self.random.choice([0.1, 0.2, 1, 2, 3, 4.5, "7", None])
        if self.random.random() < 0.8:
            properties["s"] = self.random.choice(["a", "b", "c", "ab"])
        name = self.random.choice(["X", "X", "Y", "Z"])
        who = {"userId": f"u{self.random.randrange(4)}"}
        if self.devices and self.random.random() < 0.4:
            who = {"anonymousId": f"d{self.random.randrange(self.devices)}"}
        self.world.send(
            {"type": "track", "event": name, "properties": properties, "ago": ago, **who}
        )

    def happen(self) -> str:
        self.event(0)
        return "event"

    def late(self) -> str:
        self.event(self.random.choice([0.5, 1, 2, 3, 3.5, 4, 6]))
        return "late"

    def come(self) -> str:
        self.event(-self.random.choice([0.25, 1, 2]))
        return "event"

    def time(self) -> str:
        self.world.now_us += round(self.random.choice([0.01, 0.25, 0.5, 1]) * DAY_US)
        return "expiry"

    def jump(self) -> str:
        self.world.now_us += round(self.random.choice([2, 3]) * DAY_US)
        return "expiry"

    def join(self) -> str:
        """A device is used by nobody yet, does something, then somebody logs in on it."""
        device = f"d{self.devices}"
        self.devices += 1
        for _ in range(self.random.randrange(1, 4)):
            properties = {
                "n": self.random.choice([1, 2, 3.5]),
                "s": self.random.choice(["a", "b"]),
            }
            name = self.random.choice(["X", "X", "Y"])
            ago = self.random.choice([0, 0, 1.5, 3.2])
            self.world.send({"type": "track", "event": name, "properties": properties,
                             "anonymousId": device, "ago": ago})  # fmt: skip
        if self.random.random() < 0.5:
            days = self.random.choice([0, 1, 2, 5])
            said = {
                "plan": self.random.choice(["gold", "free"]),
                "since": _day(self.world.now_us - days * DAY_US),
            }
            self.world.send({"type": "identify", "anonymousId": device, "traits": said})
        self.world.drain()
        user = f"u{self.random.randrange(4)}"
        self.world.send({"type": "identify", "userId": user, "anonymousId": device, "traits": {}})
        return "merge"

    def say(self) -> str:
        plan = self.random.choice(["gold", "free", None])
        ago = self.random.choice([0, 0, 1, 5])
        who = {"userId": f"u{self.random.randrange(4)}"}
        if self.devices and self.random.random() < 0.3:
            who = {"anonymousId": f"d{self.random.randrange(self.devices)}"}
        since = _day(self.world.now_us - self.random.choice([0, 1, 2, 5]) * DAY_US)
        said = {"plan": plan, "since": self.random.choice([since, None])}
        self.world.send({"type": "identify", "traits": said, "ago": ago, **who})
        return "late" if ago else "event"

    def restart(self) -> str:
        self.world.restart()
        return "restart"

    def unmerge(self) -> str:
        connection = self.world.space.file.connection
        rows = connection.execute("SELECT id FROM merges WHERE undone_us IS NULL").fetchall()
        if rows:
            self.world.space.unmerge(self.random.choice(rows)[0], "admin")
        return "unmerge"

    # Comparison -----------------------------------------------------------------------------

    def check(self) -> None:
        graph = self.world.space.graph
        everybody = {number for (number,) in self.world.space.file.connection.execute(
            "SELECT DISTINCT profile FROM segments")}  # fmt: skip
        known = {number for number in everybody if graph.is_known(number)}
        batch = Batch(self.world, everybody)
        members = self.members()
        for one in WANTED:
            assert members[one.slug] == batch.members(one, known), one.text
        people = {number: self.world.space.worker.people.get(number) for number in everybody}
        for slug, _, _, _, expression in TRAITS:
            streamed = {
                number: profile.standing.traits[slug]
                for number, profile in people.items()
                if slug in profile.standing.traits
            }
            expected = batch.values(expression)
            if slug.startswith("t_average"):
                assert streamed == pytest.approx(expected), slug
            else:
                assert streamed == expected, slug
        batch.connection.close()


def _day(at_us: int) -> str:
    return f"{datetime.fromtimestamp(at_us / 1e6, UTC):%Y-%m-%d}"


def walked(folder: Path, seed: int) -> dict[str, set[str]]:
    """What changed which audience, in one walk. Raises AssertionError for a difference."""
    walk = Walk(folder, seed)
    try:
        walk.run(STEPS)
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {error}") from error
    finally:
        walk.world.close()
    return walk.seen


def test_members_and_traits_equal_a_query_over_all_events(tmp_path: Path) -> None:
    seen: dict[str, set[str]] = defaultdict(set)
    for seed in range(SEEDS):
        for slug, causes in walked(tmp_path / str(seed), seed).items():
            seen[slug] |= causes
    missing = [
        f"{one.slug}: {cause}"
        for one in WANTED
        for cause in CAUSES
        if cause not in seen[one.slug] and (one.slug, cause) not in UNMOVED
    ]
    assert not missing, "nothing was changed by: " + ", ".join(missing)


@pytest.mark.soak
def test_many_more_walks(tmp_path: Path) -> None:
    for seed in range(1_000, 1_150):
        walked(tmp_path / str(seed), seed)


# Bugs that are planted ----------------------------------------------------------------------


def _forgets_late_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    def add(_self: Times, state: list[Any], order: tuple[int, int, str], _value: Any) -> None:
        if not state[0] or order[0] >= state[0][-1]:
            state[0].append(order[0])

    monkeypatch.setattr(Times, "add", add)


def _keeps_one_too_few(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Times.settle

    def settle(self: Times, state: list[Any], now_us: int) -> None:
        fewer = Times(max(self.newest - 1, 1), self.horizon_us) if self.newest else self
        original(fewer, state, now_us)

    monkeypatch.setattr(Times, "settle", settle)


def _never_looks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(People, "due", lambda *_: [])


def _loses_the_other_side(monkeypatch: pytest.MonkeyPatch) -> None:
    original = People.merge

    def merge(self: People, into: Profile, other: Profile) -> None:
        original(self, into, other)
        into.segments = tuple(one for one in into.segments if one not in other.segments)

    monkeypatch.setattr(People, "merge", merge)


def _rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    def settle(_self: Summing, state: list[Any], now_us: int) -> None:
        due = [one for one in state[0] if one[0] <= now_us]
        state[0] = state[0][len(due) :]
        state[1] += len(due)
        state[2] = str(round(float(state[2]) + sum(float(text) for _, text in due)))

    monkeypatch.setattr(Summing, "settle", settle)


def _last_by_arrival(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(custom, "_order", lambda _entry: (0, 0, ""))


@pytest.mark.parametrize(
    "plant",
    [
        _forgets_late_ones,
        _keeps_one_too_few,
        _never_looks_again,
        _loses_the_other_side,
        _rounds,
        _last_by_arrival,
    ],
)
def test_a_planted_bug_is_found(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[pytest.MonkeyPatch], None],
) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError, match="seed"):
        for seed in range(SEEDS):
            walked(tmp_path / str(seed), seed)
