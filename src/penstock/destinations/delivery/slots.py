"""Events that were read, until what became of them is handed on in the order of the journal."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from penstock.destinations.delivery.records import DELIVERED
from penstock.destinations.delivery.tally import Tally
from penstock.destinations.delivery.unit import Delivery
from penstock.destinations.routed import OTHER_SOURCE
from penstock.destinations.sending.outcome import Outcome

__all__ = ["Slot", "Stretch"]


@dataclass(slots=True, eq=False)
class Slot:
    """An event that was read, and the owner of its deliveries.

    Outcomes wait here until all events before it are settled.
    """

    stretch: Stretch
    position: int
    open: int = 0
    """Deliveries that are on their way."""
    outcomes: list[tuple[Delivery, str, Outcome | None, int]] = field(default_factory=list)
    """(delivery, step, outcome, due): step is empty for what goes into the retry table."""
    filtered: tuple[str, int, str] | None = None
    """(source, received, reason) of an event with nothing to deliver; without a reason, of one with
    more than one delivery."""

    def settled(self, delivery: Delivery, step: str, outcome: Outcome) -> None:
        """See ``unit.Owner``."""
        self.outcomes.append((delivery, step, outcome, 0))
        self.open -= 1
        delivery.payload = {}

    def parked(self, delivery: Delivery, due_us: int) -> None:
        """See ``unit.Owner``."""
        self.stretch.parked += 1
        self.outcomes.append((delivery, "", None, due_us))
        self.open -= 1
        delivery.payload = {}


@dataclass(slots=True, eq=False)
class Stretch:
    """What was read of a partition and is not written yet."""

    started: int
    read: int
    """Where to read on."""
    settled: int
    """Up to here everything is in ``Tally``."""
    told: int = -1
    """``settled`` as it was told last."""
    slots: deque[Slot] = field(default_factory=deque)
    parked: int = 0
    """Deliveries that will go into the retry table and are not in the tally yet."""

    def hand_on(self, part: int, tally: Tally, replay: int) -> None:
        """Hand on what is settled, up to the first event that is still on its way."""
        slots = self.slots
        plain: list[Delivery] = []
        while slots and not slots[0].open:
            slot = slots.popleft()
            for delivery, step, outcome, due_us in slot.outcomes:
                if outcome is None:
                    self.parked -= 1
                    tally.parked(delivery, due_us)
                elif step == DELIVERED and not replay and outcome.request is None:
                    plain.append(delivery)
                else:
                    tally.settled(delivery, step, outcome)
            if slot.filtered is not None:
                _tell_filtered(part, slot, slot.filtered, tally, replay)
            slot.outcomes.clear()  # their deliveries hold the slot
        if plain:
            tally.delivered(plain)
        self.settled = slots[0].position if slots else self.read


def _tell_filtered(
    part: int, slot: Slot, filtered: tuple[str, int, str], tally: Tally, replay: int
) -> None:
    source, received_us, reason = filtered
    if replay:
        tally.changes.replays[replay, "filtered"] += 1
    elif reason:
        place = (part, slot.position)
        tally.filtered(place, source, received_us, reason, shown=reason != OTHER_SOURCE)
    else:
        tally.more(source, received_us, len(slot.outcomes) - 1)
