"""The simulated events are valid tracking-API items, and the same arguments give the same ones."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

import pytest

from penstock.demo import Simulation, simulate
from penstock.demo.ledger import months_before
from penstock.demo.menu import order_worth, split_cents
from penstock.errors import DemoError
from tests.demo.warehouse import Warehouse

City = tuple[Simulation, Warehouse]
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
PRINT_DIGEST = """
import hashlib, json, datetime
from penstock.demo import simulate
events = simulate(7, 0.1, as_of=datetime.date(2026, 1, 15)).events
print(hashlib.sha256(json.dumps(events).encode()).hexdigest())
"""


def digest(events: list[dict[str, Any]]) -> str:
    return hashlib.sha256(json.dumps(events).encode()).hexdigest()


def test_equal_arguments_give_equal_bytes_in_another_process_too() -> None:
    here = digest(simulate(7, 0.1, as_of=date(2026, 1, 15)).events)
    there = subprocess.run(
        [sys.executable, "-c", PRINT_DIGEST],
        env=os.environ | {"PYTHONHASHSEED": "5"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert there.stdout.strip() == here


def test_other_seeds_change_the_city_and_not_the_script(one: City) -> None:
    other = simulate(2, 0.2, as_of=date(2026, 1, 15))

    def orders(events: list[dict[str, Any]], coupon: str | None) -> list[object]:
        return [
            (event["timestamp"], event["properties"])
            for event in events
            if event.get("event") == "Order Completed"
            and event["properties"].get("coupon") == coupon
        ]

    for coupon in ("TOASTDAY", "TOASTFRIEND", "WELOAFYOU"):
        assert orders(one[0].events, coupon) == orders(other.events, coupon)
    assert orders(one[0].events, None) != orders(other.events, None)
    ids = [{event["messageId"] for event in events} for events in (one[0].events, other.events)]
    assert not ids[0] & ids[1]


def test_scale_multiplies_the_city(one: City) -> None:
    small, large = len(one[0].events), len(simulate(1, 1.0, as_of=date(2026, 1, 15)).events)

    assert 12_000 < small < large < 25_000


def test_items_are_what_the_tracking_api_takes(one: City) -> None:
    events = one[0].events

    assert len({event["messageId"] for event in events}) == len(events)
    for event in events:
        assert event["type"] in ("track", "identify", "page", "screen")
        assert event.get("userId") or event.get("anonymousId")
        assert INSTANT.fullmatch(event["timestamp"])
        assert "sentAt" not in event
        assert len(event["messageId"]) <= 100
        assert event["context"]["library"]["name"]
        assert len(json.dumps(event)) < 32_000


def test_items_are_sorted_and_end_at_the_as_of_date(city: City) -> None:
    simulation = city[0]
    times = [event["timestamp"] for event in simulation.events]

    assert times == sorted(times)
    assert times[-1] == f"{simulation.ledger.as_of}T00:00:00.000Z"
    assert simulation.events[-1]["type"] == "track"
    first = datetime.fromisoformat(times[0]).date()
    assert timedelta(days=181) < simulation.ledger.as_of - first < timedelta(days=240)


def test_orders_add_up(one: City) -> None:
    for event in one[0].events:
        if event.get("event") != "Order Completed":
            continue
        order = event["properties"]
        lines = sum(round(p["price"] * 100) * p["quantity"] for p in order["products"])
        cents = {
            key: round(order[key] * 100) for key in order if isinstance(order[key], int | float)
        }
        assert cents["subtotal"] == lines - cents["discount"] == cents["revenue"]
        assert cents["total"] == cents["subtotal"] + cents["shipping"] + cents["tax"]
        assert min(cents["subtotal"], cents["shipping"] + 1, cents["tax"] + 1) > 0


def test_only_the_two_campaigns_have_a_name(city: City) -> None:
    named = {
        event["context"]["campaign"].get("name")
        for event in city[0].events
        if "campaign" in event["context"]
    }

    assert named == {"national-toast-day", "toast-your-friend", None}


@pytest.mark.parametrize("scale", [0, -1, float("nan"), 1e9])
def test_a_senseless_scale_is_refused(scale: float) -> None:
    with pytest.raises(DemoError, match="scale"):
        simulate(1, scale, as_of=date(2026, 1, 15))


@pytest.mark.parametrize("total", [400, 401, 777, 1234, 99_999])
@pytest.mark.parametrize("discount", [0, 500])
def test_any_order_total_can_be_made(total: int, discount: int) -> None:
    order = order_worth(Random(total), total, "TM-1", discount=discount)

    assert order.total == total
    assert order.shipping >= 0
    assert order.subtotal > 0


def test_split_cents_is_exact() -> None:
    parts = split_cents(Random(1), 3100_37, 239)

    assert sum(parts) == 3100_37
    assert min(parts) >= 400
    with pytest.raises(ValueError, match="too few"):
        split_cents(Random(1), 100, 2)


@pytest.mark.parametrize(
    ("day", "before"),
    [
        (date(2025, 8, 31), date(2025, 2, 28)),
        (date(2024, 8, 31), date(2024, 2, 29)),
        (date(2026, 6, 30), date(2025, 12, 30)),
        (date(2026, 1, 15), date(2025, 7, 15)),
        (date(2026, 12, 31), date(2026, 6, 30)),
    ],
)
def test_six_months_before(day: date, before: date) -> None:
    assert months_before(day, 6) == before
