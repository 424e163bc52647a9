"""The graph against a union-find, and against the specification taken word by word."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.profiles.identity.rules import Identifier, IdentityRules
from tests.profiles.identity.people import OPEN, People

Id = tuple[str, str]
PRIORITY = ("user_id", "email", "anonymous_id", "ios.id")


@st.composite
def sightings(draw: st.DrawFn) -> list[dict[str, str]]:
    """Events of a small world: each carries some of few ids."""
    one = st.fixed_dictionaries(
        {},
        optional={
            "user": st.sampled_from(["u1", "u2", "u3", "u4"]),
            "email": st.sampled_from(["e1@x", "e2@x", "e3@x"]),
            "anonymous": st.sampled_from([f"a{number}" for number in range(7)]),
            "device": st.sampled_from(["d1", "d2", "d3"]),
        },
    ).filter(bool)
    return draw(st.lists(one, max_size=25))


def ids_of(sighting: dict[str, str]) -> list[Id]:
    kinds = {"user": "user_id", "email": "email", "anonymous": "anonymous_id", "device": "ios.id"}
    found = [(kinds[name], value) for name, value in sighting.items()]
    return sorted(found, key=lambda one: PRIORITY.index(one[0]))


def united(events: list[dict[str, str]]) -> set[frozenset[Id]]:
    groups: list[set[Id]] = []
    for event in events:
        joined = set(ids_of(event))
        for group in [group for group in groups if group & joined]:
            groups.remove(group)
            joined |= group
        groups.append(joined)
    return {frozenset(group) for group in groups}


@settings(max_examples=150, deadline=None)
@given(events=sightings(), seed=st.integers(0, 1_000))
def test_without_limits_order_makes_no_difference(events: list[dict[str, str]], seed: int) -> None:
    shuffled = list(events)
    random.Random(seed).shuffle(shuffled)
    expected = united(events)
    for order in (events, shuffled):
        people = People(OPEN)
        for event in order:
            people.see(**event)  # type: ignore[arg-type]
        assert people.partition() == expected


@dataclass
class Person:
    number: int
    created: float
    ids: list[Id] = field(default_factory=list)


class Literal:
    """Section 2 of the specification of identity, step by step, and nothing else."""

    def __init__(self, limits: dict[str, int]) -> None:
        self.limits = limits
        self.people: list[Person] = []
        self.count = 0

    def see(self, ids: list[Id], day: float) -> Person:
        considered = list(ids)  # 1. extract ids (most trusted first)
        while True:
            found = [one for one in self.people if set(one.ids) & set(considered)]  # 2.
            union = {one for person in found for one in person.ids} | set(considered)
            if len(found) == 1 and set(considered) <= set(found[0].ids):
                return found[0]
            if self.fits(union, found, considered):
                break
            considered.pop()  # 4. remove the id that is trusted least, and redo from 2
        if not found:  # 3. none: create
            self.count += 1
            person = Person(self.count, day, list(considered))
            self.people.append(person)
            return person
        survivor = min(found, key=lambda one: (one.created, one.number))
        for other in found:
            if other is not survivor:
                survivor.ids += other.ids
                self.people.remove(other)
        survivor.ids += [one for one in considered if one not in survivor.ids]
        return survivor

    def fits(self, union: set[Id], found: list[Person], considered: list[Id]) -> bool:
        """Whether no type that grows would have more values than its limit."""
        for kind, limit in self.limits.items():
            after = {one for one in union if one[0] == kind}
            most = max(
                (len([o for o in person.ids if o[0] == kind]) for person in found), default=0
            )
            if len(after) > limit and len(after) > most:
                return False
        return True


LIMITS = [
    {"user_id": 1, "email": 5, "anonymous_id": 5, "ios.id": 5},
    {"user_id": 1, "email": 1, "anonymous_id": 2, "ios.id": 1},
    {"user_id": 2, "email": 2, "anonymous_id": 3, "ios.id": 1},
]


@pytest.mark.parametrize("limits", LIMITS)
@settings(max_examples=150, deadline=None)
@given(events=sightings())
def test_with_limits_it_is_the_specification(
    limits: dict[str, int], events: list[dict[str, str]]
) -> None:
    people = People(IdentityRules({kind: Identifier(limit=n) for kind, n in limits.items()}))
    literal = Literal(limits)
    for day, event in enumerate(events):
        found = people.see(day=day, **event)
        person = literal.see(ids_of(event), day)
        assert people.ids(found.profile) == set(person.ids)
    assert people.partition() == {frozenset(person.ids) for person in literal.people}
