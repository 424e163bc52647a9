"""Outcomes are handed on in the order of the journal, whatever order they come in."""

from __future__ import annotations

from collections import Counter

from penstock.destinations.contract import Action, Call, Steps
from penstock.destinations.delivery.records import DELIVERED, DISCARDED
from penstock.destinations.delivery.slots import Slot, Stretch
from penstock.destinations.delivery.tally import Tally
from penstock.destinations.delivery.unit import Delivery, plan
from penstock.destinations.routed import Mapped
from penstock.destinations.sending.outcome import Outcome
from penstock.events.model import Record


def _build(_: Call) -> Steps:
    yield from ()
    return None


MAPPED = Mapped(0, Action("ring", "Ring", _build), "", None, bool, dict)


def delivery(stretch: Stretch, position: int, deliveries: int = 1) -> Delivery:
    slot = Slot(stretch, position, deliveries)
    stretch.slots.append(slot)
    record = Record("web", f"m{position}", 3_600_000_000, b"{}")
    event = {"type": "track", "event": "A"}
    return plan(slot, 0, position, record, event, 0, MAPPED, ordered=False, replay=0)


def test_what_is_settled_waits_for_what_came_before() -> None:
    stretch, tally = Stretch(7, 10, 7), Tally(lambda: 3_600_000_000, Counter())
    first, second, third = (delivery(stretch, position) for position in (7, 8, 9))
    second.owner.settled(second, DELIVERED, Outcome(200))
    third.owner.parked(third, 5)
    stretch.hand_on(0, tally, replay=0)
    assert (stretch.settled, stretch.parked, bool(tally.changes)) == (7, 1, False)
    first.owner.settled(first, DISCARDED, Outcome(400, "400"))
    stretch.hand_on(0, tally, replay=0)
    changes = tally.take()
    assert (stretch.settled, stretch.parked) == (10, 0) and not stretch.slots
    assert changes.counts == {("ring", DISCARDED, "400"): 1, ("ring", DELIVERED, ""): 1}
    assert changes.ledger == {("web", 1, "dead"): 1, ("web", 1, "delivered"): 1,
                              ("web", 1, "waiting"): 1}  # fmt: skip
    assert [parked.position for parked in changes.parked] == [9]
    assert [(position, step) for _, position, step, _ in changes.recent] == [
        (7, DISCARDED), (8, DELIVERED),
    ]  # fmt: skip


def test_an_event_that_is_handed_on_is_held_by_nobody() -> None:
    """Slot and delivery hold each other, which only the garbage collector would notice."""
    stretch, tally = Stretch(0, 1, 0), Tally(lambda: 0, Counter())
    one = delivery(stretch, 0)
    slot = stretch.slots[0]
    one.owner.settled(one, DELIVERED, Outcome(200))
    stretch.hand_on(0, tally, replay=0)
    assert not slot.outcomes and one.payload == {}
