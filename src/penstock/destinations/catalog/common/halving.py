"""Batches that a tool refuses whole for the fault of one payload."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence

from penstock.destinations.catalog.common.items import failures_at
from penstock.destinations.contract import Answer, BuiltRequest, Failure, Refused

__all__ = ["sent_in_halves"]

Sending = Generator[BuiltRequest, Answer, None]


def sent_in_halves(
    indices: Sequence[int], send: Callable[[tuple[int, ...]], Sending]
) -> Generator[BuiltRequest, Answer, Mapping[int, Failure]]:
    """Send the payloads together; where that is refused with 400, halve until the faulty are alone.

    ``send`` raises Refused for what the tool did not take. What goes wrong otherwise, or with a
    single payload, is raised as it is while nothing else has been sent.
    """
    try:
        yield from send(tuple(indices))
    except Refused as error:
        if len(indices) == 1 or error.status != 400:
            raise
    else:
        return {}
    return (yield from _halves(indices, send))


def _halves(
    indices: Sequence[int], send: Callable[[tuple[int, ...]], Sending]
) -> Generator[BuiltRequest, Answer, Mapping[int, Failure]]:
    failures: dict[int, Failure] = {}
    middle = len(indices) // 2
    for half in (indices[:middle], indices[middle:]):
        try:
            yield from send(tuple(half))
        except Refused as error:
            if error.status == 400 and len(half) > 1:
                failures |= yield from _halves(half, send)
            else:
                failures |= failures_at(half, error)
    return failures
