"""What became of a destination's deliveries, gathered until it is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from penstock.destinations.delivery.changes import RECENT, Bulk, Changes, Example, Letter, Parked
from penstock.destinations.delivery.latency import bucket_of
from penstock.destinations.delivery.records import (
    DEAD,
    DELIVERED,
    FILTERED,
    RETRIED,
)
from penstock.destinations.delivery.unit import Delivery
from penstock.destinations.sending.outcome import Outcome
from penstock.events.counts import HOUR_US

__all__ = ["Tally"]

_WHOLE = 100
"""Dead letters of each action and code that are kept with request and answer."""
_OFTEN = 10
_EXAMPLE_EVERY_US = 10_000_000
_LONGEST = 500
_COLUMN = {DELIVERED: "delivered", FILTERED: "filtered"}


class Tally:
    """Adds up into ``changes``, which its owner takes and writes."""

    def __init__(self, clock: Callable[[], int], whole: Counter[tuple[str, str]]) -> None:
        """``whole``: dead letters kept with request and answer, by (action, code)."""
        self.changes = Changes()
        self._clock = clock
        self._whole = whole
        self._shown: dict[tuple[str, str, str], tuple[int, int]] = {}

    def take(self) -> Changes:
        """What was gathered; a new gathering begins."""
        taken, self.changes = self.changes, Changes()
        return taken

    def recount(self, whole: Counter[tuple[str, str]]) -> None:
        """Dead letters may have been retried or discarded since."""
        self._whole = whole

    # Outcomes -------------------------------------------------------------------------------

    def settled(self, delivery: Delivery, step: str, outcome: Outcome) -> None:
        """A delivery is over."""
        changes = self.changes
        action = delivery.mapped.action.slug
        column = _COLUMN.get(step, "dead")
        if delivery.row:
            changes.removed.append(delivery.row)
        if delivery.replay:
            changes.replays[delivery.replay, column] += 1
            if delivery.row:
                changes.replays[delivery.replay, "waiting"] -= 1
        else:
            changes.counts[action, step, "" if step == DELIVERED else outcome.code] += 1
            self._to_ledger(delivery, column)
            code = "" if step == DELIVERED else outcome.code
            changes.recent.append((delivery.part, delivery.position, step, code))
        if step == DELIVERED and not delivery.replay:
            changes.latencies[bucket_of((self._clock() - delivery.received_us) / 1e6)] += 1
        if step in DEAD:
            self._die(delivery, step, outcome)
        self._show(delivery, step, outcome)

    def delivered(self, deliveries: Sequence[Delivery]) -> None:
        """Deliveries of live events are over, and went well: as ``settled``, for all at once."""
        changes, now_us = self.changes, self._clock()
        counts: Counter[str] = Counter()
        ledger: Counter[tuple[str, int]] = Counter()
        latencies = changes.latencies
        for one in deliveries:
            counts[one.mapped.action.slug] += 1
            ledger[one.source, one.received_us // HOUR_US] += 1
            latencies[bucket_of((now_us - one.received_us) / 1e6)] += 1
        for action, count in counts.items():
            changes.counts[action, DELIVERED, ""] += count
        for (source, hour), count in ledger.items():
            changes.ledger[source, hour, "delivered"] += count
        newest = deliveries[-RECENT:]
        changes.recent.extend((one.part, one.position, DELIVERED, "") for one in newest)

    def parked(self, delivery: Delivery, due_us: int) -> None:
        """A delivery goes, or stays, in the retry table."""
        changes = self.changes
        code = delivery.last.code if delivery.last else ""
        action = delivery.mapped.action.slug
        if delivery.last and not delivery.replay:
            changes.counts[action, RETRIED, code] += 1
            changes.recent.append((delivery.part, delivery.position, RETRIED, code))
        if delivery.last:
            self._show(delivery, RETRIED, delivery.last)
        if delivery.row:
            changes.again.append((delivery.attempts, due_us, delivery.first_us, code, delivery.row))
            return
        hour = delivery.received_us // HOUR_US
        changes.parked.append(
            Parked(delivery.part, delivery.position, delivery.place, action, delivery.attempts,
                   due_us, delivery.first_us or self._clock(), code, delivery.source, hour,
                   delivery.person, delivery.replay)
        )  # fmt: skip
        if delivery.replay:
            changes.replays[delivery.replay, "waiting"] += 1
        else:
            changes.ledger[delivery.source, hour, "waiting"] += 1

    def filtered(
        self, place: tuple[int, int], source: str, received_us: int, reason: str, *, shown: bool
    ) -> None:
        """An event, at (partition, position), that none of the mappings is asked for."""
        if shown:
            self.changes.counts["", FILTERED, reason] += 1
            self.changes.recent.append((*place, FILTERED, reason))
        self.changes.ledger[source, received_us // HOUR_US, "filtered"] += 1

    def more(self, source: str, received_us: int, deliveries: int) -> None:
        """An event had so many deliveries beyond one."""
        self.changes.ledger[source, received_us // HOUR_US, "more"] += deliveries

    def _to_ledger(self, delivery: Delivery, column: str) -> None:
        hour = delivery.received_us // HOUR_US
        self.changes.ledger[delivery.source, hour, column] += 1
        if delivery.row:
            self.changes.ledger[delivery.source, hour, "waiting"] -= 1

    # Dead letters and samples ---------------------------------------------------------------

    def _die(self, delivery: Delivery, step: str, outcome: Outcome) -> None:
        action = delivery.mapped.action.slug
        bulk = Bulk(action, delivery.place, step, outcome.code, outcome.message[:_LONGEST],
                    delivery.part, delivery.replay)  # fmt: skip
        if self._whole[action, outcome.code] < _WHOLE:
            self._whole[action, outcome.code] += 1
            self.changes.letters.append(
                Letter(bulk, delivery.position, delivery.message_id, delivery.event,
                       outcome.request)
            )  # fmt: skip
        else:
            # By code alone: messages may differ from event to event
            bulk = Bulk(action, delivery.place, step, outcome.code, "", delivery.part,
                        delivery.replay)  # fmt: skip
            self.changes.bulk.setdefault(bulk, []).append(delivery.position)

    def _show(self, delivery: Delivery, step: str, outcome: Outcome) -> None:
        """Keep the first ones as examples, and later one in ten seconds."""
        if step == DELIVERED and outcome.request is None:
            return
        key = (delivery.mapped.action.slug, step, outcome.code)
        count, last_us = self._shown.get(key, (0, 0))
        now_us = self._clock()
        if count >= _OFTEN and 0 <= now_us - last_us < _EXAMPLE_EVERY_US:
            return
        self._shown[key] = (count + 1, now_us)
        code = "" if step == DELIVERED else outcome.code
        self.changes.examples.append(
            Example(key[0], step, code, delivery.message_id, delivery.event,
                    outcome.message[:_LONGEST], outcome.request)
        )  # fmt: skip
