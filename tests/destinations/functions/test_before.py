"""Functions before a destination's mappings: beside the event loop, and what a failure becomes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.destinations.catalog.webhook import DESTINATION
from penstock.destinations.functions.before import BeforeMappings, Blocking, chain_of
from penstock.destinations.functions.chain import Chain, Place
from penstock.destinations.model import DestinationSetup, FunctionSetup
from penstock.destinations.route import Route
from penstock.destinations.routed import BY_FUNCTION, FUNCTION, NotYet, Routed

if sys.platform != "linux":
    pytest.skip("functions run on Linux only", allow_module_level=True)

SETUP = DestinationSetup(
    "hook", "webhook", settings={"url": "https://example.com"}, functions=("first", "second")
)
FIRST = """
from penstock.functions import Reject, Retry

def on_track(event, settings):
    what = event["event"]
    if what == "Drop": return None
    if what == "Retry": raise Retry("later")
    if what == "Reject": raise Reject("never")
    if what == "Fail": raise ValueError("oh")
    return [event, {**event, "event": "Copy"}] if what == "Twice" else event
"""
SECOND = "def on_track(event, settings):\n    return {**event, 'second': True}\n"


def _event(name: str) -> dict[str, Any]:
    return {"type": "track", "event": name, "messageId": name, "userId": "u"}


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    (tmp_path / "first.py").write_text(FIRST)
    (tmp_path / "second.py").write_text(SECOND)
    setups = {slug: FunctionSetup(slug, f"{slug}.py", timeout=30.0) for slug in ("first", "second")}
    made = chain_of(SETUP, lambda: setups, Place(tmp_path))
    yield made
    made.close()


async def _routed(route: Route, event: dict[str, Any]) -> Routed:
    """Ask until it is known."""
    async with asyncio.timeout(60):
        while True:
            known = asyncio.Event()
            try:
                return route(event, "web")
            except NotYet as wait:
                wait.then(known.set)
                await known.wait()


def test_the_loop_is_not_blocked_and_outcomes_come_when_they_are_known(chain: Chain) -> None:
    before = BeforeMappings(chain)
    route = Route(DESTINATION, SETUP, functions=before)

    async def run() -> list[Routed]:
        with pytest.raises(NotYet):
            route(_event("Order"), "web")
        route.prepare(_event("Drop"), "web")
        names = ("Order", "Drop", "Twice", "Retry", "Reject", "Fail")
        return [await _routed(route, _event(name)) for name in names]

    order, drop, twice, retry, reject, fail = asyncio.run(run())
    before.close()
    assert [one.place for one in order.planned] == [0]
    assert order.planned[0].payload["data"]["second"] is True
    assert drop.reason == BY_FUNCTION
    assert [(one.place, one.payload["data"]["event"]) for one in twice.planned] == [
        (0, "Twice"), (1000, "Copy"),
    ]  # fmt: skip
    found = [(*routed.unsendable,)[0] for routed in (retry, reject, fail)]
    assert [(one.code, one.reason, one.later) for one in found] == [
        ("FUNCTION_RETRY", "later", True),
        ("FUNCTION_REJECTED", "never", False),
        ("FUNCTION_FAILED", "line 9: ValueError: oh", False),
    ]
    assert all(one.mapped is FUNCTION and not one.skipped for one in found)


def test_what_other_rules_keep_out_does_not_reach_the_functions(chain: Chain) -> None:
    route = Route(DESTINATION, SETUP, functions=BeforeMappings(chain))
    event = {**_event("Order"), "integrations": {"All": False}}
    assert route(event, "web").reason == "FILTERED_BY_INTEGRATIONS_OBJECT"
    assert chain.states() == []


def test_a_command_waits_for_the_outcome(chain: Chain) -> None:
    assert Blocking(chain)(_event("Order")) == [{**_event("Order"), "second": True}]


def test_the_event_is_not_changed(chain: Chain) -> None:
    event = _event("Order")
    Blocking(chain)(event)
    assert event == _event("Order")
