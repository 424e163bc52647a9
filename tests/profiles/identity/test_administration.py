"""Merges that are undone, ids that are deleted, and why somebody is who they are."""

from __future__ import annotations

import random

import pytest

from penstock.errors import ConfigurationError, NotFound
from penstock.profiles.identity.administration import (
    delete_external_id,
    history,
    lift_barrier,
    unmerge,
)
from penstock.profiles.identity.rules import Identifier, IdentityRules
from tests.profiles.identity.people import OPEN, People


def joined(people: People) -> tuple[int, int, int]:
    """A person who was two: their profile, the one merged away, and the merge."""
    first = people.see("u", "a")
    people.see(anonymous="b", day=1)
    found = people.see("u", "b", day=2)
    (merge,) = found.merges
    return first.profile, merge.other, merge.id


def test_an_undone_merge_leaves_both_as_they_were() -> None:
    people = People()
    profile, other, merge = joined(people)
    apart = unmerge(people.graph, merge, "admin", 5)
    assert (apart.profile, apart.apart) == (profile, other)
    assert people.ids(profile) == {("user_id", "u"), ("anonymous_id", "a")}
    assert people.ids(other) == {("anonymous_id", "b")}
    assert people.see(anonymous="b").profile == other
    with pytest.raises(NotFound):
        unmerge(people.graph, merge, "admin", 6)


def test_the_two_stay_apart_until_an_administrator_lets_them() -> None:
    people = People()
    profile, other, merge = joined(people)
    unmerge(people.graph, merge, "admin", 5)
    again = people.see("u", "b")
    assert again.profile == profile
    assert [(left.value, why) for left, why in again.dropped] == [("b", "barred")]
    lift_barrier(people.graph, profile, other)
    assert people.see("u", "b").merges
    with pytest.raises(NotFound):
        lift_barrier(people.graph, profile, other)


def test_what_was_merged_into_the_other_comes_apart_with_it() -> None:
    people = People(OPEN)
    third = people.see(anonymous="c", day=1)
    second = people.see(anonymous="b", email="e@x", day=2)
    people.see(anonymous="c", email="e@x", day=3)  # b's profile into c's
    first = people.see("u", day=0)
    (merge,) = people.see("u", "c", day=4).merges
    assert merge.segments == (third.profile, second.profile)
    unmerge(people.graph, merge.id, "admin", 5)
    assert people.graph.segments_of(third.profile) == (third.profile, second.profile)
    assert people.graph.segments_of(first.profile) == (first.profile,)
    assert people.owner("email", "e@x") == third.profile


def test_random_merges_undone_in_random_order() -> None:
    for seed in range(60):
        chance = random.Random(seed)
        people = People(OPEN)
        for step in range(40):
            if chance.random() < 0.2:
                rows = people.connection.execute(
                    "SELECT id FROM merges WHERE undone_us IS NULL"
                ).fetchall()
                if rows:
                    unmerge(people.graph, chance.choice(rows)[0], "admin", step)
            people.see(
                chance.choice(["u1", "u2", None]),
                f"a{chance.randrange(9)}",
                chance.choice(["e1@x", None, None]),
                day=chance.randrange(5),
            )
        assert_by_log(people)


def assert_by_log(people: People) -> None:
    """Which segments are together follows from the merges that are not undone."""
    rows = people.connection.execute(
        "SELECT loser, survivor FROM merges WHERE undone_us IS NULL"
    ).fetchall()
    parent = dict(rows)
    assert len(parent) == len(rows)

    def root(segment: int) -> int:
        while segment in parent:
            segment = parent[segment]
        return segment

    for segment, profile, merges in people.connection.execute(
        "SELECT id, profile, merges FROM segments"
    ):
        assert profile == root(segment)
        if profile == segment:
            assert merges == sum(root(loser) == segment for loser in parent)
    for kind, value, segment in people.connection.execute("SELECT type, value, segment FROM ids"):
        assert people.owner(kind, value) == root(segment)


def test_an_id_is_deleted() -> None:
    people = People(IdentityRules({"user_id": Identifier(limit=2)}))
    profile = people.see("u1", "a").profile
    delete_external_id(people.graph, profile, "anonymous_id", "a", 5)
    assert people.ids(profile) == {("user_id", "u1")}
    assert people.see(anonymous="a").profile != profile
    with pytest.raises(NotFound):
        delete_external_id(people.graph, profile, "anonymous_id", "a", 6)
    with pytest.raises(ConfigurationError, match="last user_id"):
        delete_external_id(people.graph, profile, "user_id", "u1", 6)
    with pytest.raises(ConfigurationError, match="group_id"):
        delete_external_id(people.graph, profile, "group_id", "g", 6)


def test_history_says_which_event_and_which_rule() -> None:
    people = People()
    profile, _, merge = joined(people)
    people.see("u", email="null", day=3)
    unmerge(people.graph, merge, "boss", 10**17)
    told = history(people.connection, profile)
    assert [(one.kind, one.type, one.value, one.message_id) for one in told] == [
        ("created", "", "", "m1"),
        ("attached", "user_id", "u", "m1"),
        ("attached", "anonymous_id", "a", "m1"),
        ("merged", "anonymous_id", "b", "m3"),
        ("left out", "email", "null", "m4"),
        ("unmerged", "", "", ""),
    ]
    assert told[4].reason == "blocked"
    assert told[5].by == "boss"
    assert told[3].merge == merge
