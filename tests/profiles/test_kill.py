"""The profiles process is killed (-9) under load: each change of an audience is told once."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.profiles.killing import (
    Hook,
    Killer,
    ask,
    kill_while_reading_history,
    send,
    until,
)
from tests.recovery.traffic import settled_ledger
from tests.running import RunningPenstock

SEED = int(os.environ.get("PENSTOCK_TEST_SEED", "1"))
OFTEN = 5
Change = tuple[str, str, bool]
"""(user, audience, whether entered)."""

WORKSPACE = """
sources:
  shop: {{name: Shop, type: server, write_keys: [profiles-key]}}
  quiet: {{name: Quiet, type: server, write_keys: [quiet-key]}}
destinations:
  hook: {{type: webhook, sources: [quiet], settings: {{url: "{url}/hook"}}}}
  ads: {{type: webhook, sources: [quiet], settings: {{url: "{url}/ads"}}}}
audiences:
  bought: {{when: did "Order Completed"}}
  often:
    when: did "Order Completed" at least 5 times
    destinations: [{{destination: hook, mode: track}}]
  vip:
    when: trait plan = "vip"
    destinations: [{{destination: ads, mode: identify}}]
{more}
"""
LATER = """
  {name}:
    when: did "Page Seen" where page < {beyond} at least {least} times
    destinations: [hook]
"""
"""A signal of its own, which has to be filled from before; the filter leaves nothing out."""


class Story:
    """What is sent, and what has to be told of it."""

    def __init__(self, penstock: RunningPenstock, users: int) -> None:
        self.penstock = penstock
        self.users = [f"u{number}" for number in range(users)]
        self.orders: Counter[str] = Counter()
        self.pages: Counter[str] = Counter()
        self.told: Counter[Change] = Counter()
        self.sent = 0
        self._chance = random.Random(SEED)

    def load(self, events: int) -> None:
        """Orders and pages of anybody, in no order that matters."""
        made = []
        for _ in range(events):
            user = self._chance.choice(self.users)
            name = "Order Completed" if self._chance.random() < 0.15 else "Page Seen"
            count = self.orders if name == "Order Completed" else self.pages
            count[user] += 1
            if name == "Order Completed":
                self.told[user, "bought", True] = 1
                if count[user] >= OFTEN:
                    self.told[user, "often", True] = 1
            made.append({"type": "track", "userId": user, "event": name, "properties": {"page": 1}})
        self._send(made)

    def turn(self, plan: str) -> None:
        """Everybody changes the plan; returns when each has entered or left ``vip``."""
        enters = plan == "vip"
        self._send([{"type": "identify", "userId": user, "traits": {"plan": plan}}
                    for user in self.users])  # fmt: skip
        self.load(300)
        wanted = len(self.users) if enters else 0
        self.await_members("vip", wanted)
        self.told.update((user, "vip", enters) for user in self.users)

    def await_members(self, audience: str, wanted: int) -> None:
        query = "SELECT count(*) FROM members WHERE audience = ?"
        until(
            lambda: ask(self.penstock, query, audience) == [(wanted,)],
            f"{wanted} members of {audience}", self.penstock,
        )  # fmt: skip

    def _send(self, events: list[dict[str, Any]]) -> None:
        self.sent += len(events)
        send(self.penstock, events)

    def settle(self) -> None:
        """Wait until all that has to be told is told and loaded, and the ledger balances."""
        for audience in ("bought", "often"):
            self.await_members(audience, self.members(audience))
        until(lambda: ask(self.penstock, "SELECT count(*) FROM outbox") == [(0,)],
              "an empty outbox", self.penstock)  # fmt: skip
        rows = settled_ledger(self.penstock, loaded=self.sent + self.told.total())
        assert [row for row in rows if row.missing] == []

    def members(self, audience: str) -> int:
        """How many have ever entered one that nobody leaves."""
        return sum(name == audience for _, name, _ in self.told)


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    yield made
    made.close()


@pytest.fixture
def penstock(tmp_path: Path, hook: Hook) -> Iterator[RunningPenstock]:
    made = RunningPenstock(tmp_path, settings={"PENSTOCK_ALLOW_PRIVATE_DESTINATIONS": "true"})
    made.apply(WORKSPACE.format(url=hook.url, more=""))
    made.start()
    yield made
    made.close()


def in_the_warehouse(penstock: RunningPenstock, audiences: list[str]) -> Counter[Change]:
    """What was told, in any way. Also checks that no message is there twice."""
    found: Counter[Change] = Counter()
    for table in ("audience_entered", "audience_exited"):
        there = "select 1 from information_schema.tables where table_schema = 'penstock' "
        if not penstock.sql(f"{there} and table_name = '{table}'"):
            continue
        for row in penstock.sql(f"select user_id, audience_key from penstock.{table}"):
            entered = table == "audience_entered"
            found[str(row["user_id"]), str(row["audience_key"]), entered] += 1
    for audience in audiences:
        query = f"select user_id, {audience} as entered from penstock.identifies"
        for row in penstock.sql(f"{query} where {audience} is not null"):
            found[str(row["user_id"]), audience, bool(row["entered"])] += 1
    both = "select id from penstock.identifies union all select id from penstock.tracks"
    (twice,) = penstock.sql(f"select count(*) - count(distinct id) as n from ({both})")
    assert twice["n"] == 0
    return found


def assert_told(story: Story, hook: Hook, later: list[str]) -> None:
    """Warehouse, tools and members say what has happened, each change once."""
    story.settle()
    penstock = story.penstock
    assert in_the_warehouse(penstock, ["bought", "vip", *later]) == story.told
    turns = penstock.sql(
        "select user_id, string_agg(case when vip then '+' else '-' end, '' order by timestamp)"
        " as turns from penstock.identifies where vip is not null group by 1"
    )
    rounds = story.told[story.users[0], "vip", True] + story.told[story.users[0], "vip", False]
    assert {str(row["turns"]) for row in turns} == {("+-" * rounds)[:rounds]}
    for path, named in (("/ads", ["vip"]), ("/hook", ["often", *later])):
        wanted = sum(count for (_, name, _), count in story.told.items() if name in named)
        until(lambda path=path, n=wanted: len(hook.ids(path)) >= n, f"{wanted} at {path}", penstock)  # type: ignore[misc]
        assert hook.ids(path).total() == wanted, "a tool is told once, too"


def survive(penstock: RunningPenstock, hook: Hook, kills: int, longest: float) -> None:
    """Load and kill until so many kills are through; then all is told, once."""
    story = Story(penstock, users=60)
    story.load(500)
    killer = Killer(penstock, SEED, longest)
    killer.start()
    plans = 0
    while killer.kills < kills or plans < 3:
        plans += 1
        story.turn("vip" if plans % 2 else "free")
    killer.stop()
    assert_told(story, hook, [])


def test_no_change_is_lost_or_told_twice(penstock: RunningPenstock, hook: Hook) -> None:
    survive(penstock, hook, kills=4, longest=1.0)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_thirty_kills(penstock: RunningPenstock, hook: Hook) -> None:
    survive(penstock, hook, kills=30, longest=3.0)


def test_a_history_is_read_once_though_it_is_cut_off(penstock: RunningPenstock, hook: Hook) -> None:
    story = Story(penstock, users=60)
    story.load(20_000)
    story.await_members("bought", story.members("bought"))
    later: list[str] = []
    cut = False
    while not cut and len(later) < 6:
        name = f"reader_{len(later)}"
        later.append(name)
        more = "".join(
            LATER.format(name=one, least=275 + at, beyond=10 + at) for at, one in enumerate(later)
        )
        penstock.apply(WORKSPACE.format(url=hook.url, more=more))
        cut = kill_while_reading_history(penstock, name)
        story.load(200)
    assert cut, "no kill met a history that was being read"
    story.turn("vip")
    for at, name in enumerate(later):
        readers = [user for user in story.users if story.pages[user] >= 275 + at]
        story.told.update((user, name, True) for user in readers)
        story.await_members(name, len(readers))
    assert_told(story, hook, later)
