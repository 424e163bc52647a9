"""The guides' audiences, as written in the specification."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.profiles.language.definitions import AudienceSetup, Sending, TraitSetup
from tests.profiles.stream.world import World, track


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def test_c1_1_added_and_not_ordered(world: World) -> None:
    world.define(
        AudienceSetup(
            "cart",
            'did "Product Added" and did not "Order Completed"',
            destinations=("push", Sending("ads", "track")),
        )
    )
    world.send(
        track("A", "Product Added"),
        track("B", "Product Added"),
        track("B", "Order Completed"),
        track("C", "Order Completed"),
        track("D", "Page"),
    )
    world.drain()
    assert world.members("cart") == {"A"}
    assert [(one["type"], one["userId"]) for one in world.told()] == [
        ("identify", "A"),
        ("track", "A"),
    ]
    world.send(track("A", "Order Completed"))
    world.drain()
    assert world.members("cart") == set()
    left = world.told()[2:]
    assert [one["integrations"] for one in left] == [
        {"All": False, "push": True},
        {"All": False, "ads": True},
    ]
    assert left[0]["traits"] == {"cart": False}
    assert left[1]["event"] == "Audience Exited"


def test_c1_3_rules_of_one_campaign(world: World) -> None:
    world.define(
        AudienceSetup(
            "unopened",
            'did "Push Notification Received" where campaign_name = "cart-1" '
            'and did not "Push Notification Opened" where campaign_name = "cart-1"',
        )
    )
    cart, other = {"campaign_name": "cart-1"}, {"campaign_name": "other"}
    world.send(
        track("A", "Push Notification Received", cart),
        track("A", "Push Notification Opened", other),
        track("B", "Push Notification Received", cart),
        track("B", "Push Notification Tapped", cart),
    )
    world.drain()
    assert world.members("unopened") == {"A"}


def test_c6_1_loyal_customers(world: World) -> None:
    more = (
        'did "Order Completed" {} 2 times within 30 days and did "Order Completed" where total > 20'
    )
    world.define(
        AudienceSetup("over", more.format("more than")),
        AudienceSetup("least", more.format("at least")),
    )
    orders = {"X": (12, 25, 18), "Y": (25, 30), "Z": (15, 15, 15)}
    for user, totals in orders.items():
        for days, total in enumerate(totals):
            world.send(track(user, "Order Completed", {"total": total}, ago=days))
    world.drain()
    assert world.members("over") == {"X"}
    assert world.members("least") == {"X", "Y"}
    world.later(28.5)  # the oldest of X's three is older than 30 days now
    assert world.members("over") == set()
    assert world.members("least") == {"X", "Y"}
    world.later(1)
    assert world.members("least") == set()


def test_somebody_who_is_joined_with_what_they_did_before(world: World) -> None:
    world.define(AudienceSetup("viewers", 'did "Page Viewed" at least 2 times'))
    page = {"type": "page", "properties": {}}
    world.send({**page, "anonymousId": "A"}, {**page, "anonymousId": "B"})
    world.drain()
    assert world.members("viewers") == set()
    world.send({"type": "identify", "userId": "u1", "anonymousId": "A", "traits": {}})
    world.drain()
    assert world.members("viewers") == set()
    world.send({"type": "identify", "userId": "u1", "anonymousId": "B", "traits": {}})
    world.drain()
    assert world.members("viewers") == {"u1"}
    assert world.profile("anonymous_id", "A") == world.profile("anonymous_id", "B")


def test_traits_of_every_kind(world: World) -> None:
    kinds = {
        "count": 4, "sum": 60.3, "average": 15.075, "min": 0.1, "max": 30, "most_frequent": 30,
        "first": 30, "last": 30, "unique_list": [0.1, 0.2, 30], "unique_count": 3,
    }  # fmt: skip
    world.define(
        *(TraitSetup(kind, kind, event="Order Completed", of="total") for kind in kinds)  # type: ignore[arg-type]
    )
    for total in (30, 0.1, 0.2, 30):
        world.send(track("u", "Order Completed", {"total": total}))
        world.now_us += 1
    world.drain()
    assert world.traits("u") == kinds


def test_history_counts_and_audiences_wait_for_it(world: World) -> None:
    world.send(*(track("u", "Order Completed") for _ in range(3)))
    world.drain()
    world.define(
        AudienceSetup("three", 'did "Order Completed" at least 3 times'),
        AudienceSetup("fresh", 'did not "Order Completed"', include_history=True),
    )
    world.drain()
    assert world.members("three") == {"u"}
    assert world.members("fresh") == set()
    assert not any("fresh" in one["traits"] for one in world.told())


def test_a_restart_changes_nothing(world: World) -> None:
    world.define(
        AudienceSetup("two", 'did "X" at least 2 times within 7 days', destinations=("d",))
    )
    world.send(track("u", "X"))
    world.drain()
    world.restart()
    world.send(track("u", "X"))
    world.drain()
    world.restart()
    world.drain()
    assert world.members("two") == {"u"}
    assert len(world.told()) == 1
    world.later(7.001)
    assert world.members("two") == set()
    assert [one["traits"]["two"] for one in world.told()] == [True, False]


def test_events_to_come_count_when_they_are_due(world: World) -> None:
    world.define(AudienceSetup("soon", 'did "X"'))
    world.send(track("u", "X", ago=-2))
    world.drain()
    assert world.members("soon") == set()
    world.later(1.9)
    assert world.members("soon") == set()
    world.later(0.1)
    assert world.members("soon") == {"u"}
