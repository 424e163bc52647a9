"""Puts deliveries together that may go in one call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from penstock.destinations.contract import Batch
from penstock.destinations.delivery.unit import Delivery

__all__ = ["Batcher"]

_encode = msgspec.json.Encoder(enc_hook=str).encode
Key = tuple[int, int, bytes]


@dataclass
class _Open:
    """A batch that is not full yet."""

    due: float
    bytes: int = 0
    deliveries: list[Delivery] = field(default_factory=list)


class Batcher:
    """Collects deliveries of the same mapping and batch keys until they are enough or waited long.

    Pure: the clock is a parameter, in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._open: dict[Key, _Open] = {}

    def add(self, delivery: Delivery) -> list[list[Delivery]]:
        """Take one in whose mapping batches; returns the calls that are to be sent now."""
        batch = delivery.mapped.batch
        assert batch is not None
        key = (id(delivery.mapped), delivery.replay, _values(delivery, batch))
        ready: list[list[Delivery]] = []
        size = len(_encode(delivery.payload)) if batch.bytes else 0
        opened = self._open.get(key)
        if opened is not None and batch.bytes and opened.bytes + size > batch.bytes:
            ready.append(self._open.pop(key).deliveries)
            opened = None
        if opened is None:
            opened = self._open[key] = _Open(self._clock() + batch.wait)
        opened.deliveries.append(delivery)
        opened.bytes += size
        if len(opened.deliveries) >= batch.size:
            ready.append(self._open.pop(key).deliveries)
        return ready

    def due(self, *, all_of_them: bool = False) -> list[list[Delivery]]:
        """Batches that have waited long enough."""
        now = self._clock()
        keys = [key for key, one in self._open.items() if all_of_them or one.due <= now]
        return [self._open.pop(key).deliveries for key in keys]


def _values(delivery: Delivery, batch: Batch) -> bytes:
    """The values that must be equal within a batch."""
    values = [delivery.payload.get(key) for key in batch.keys]
    return b"" if values.count(None) == len(values) else _encode(values)
