"""Batches whose payloads stand or fall alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from penstock.destinations.contract import Call, Failure, Json, Payload, Refused

__all__ = ["failure", "failures_at", "made_of_each"]


def made_of_each(
    call: Call, make: Callable[[Payload], Json]
) -> tuple[dict[int, Json], dict[int, Failure]]:
    """What ``make`` returned by index of the payload, and for which it raised Refused, and why.

    What is raised for a call of one payload is not caught: the caller shows it as it is.
    """
    if len(call.payloads) == 1:
        return {0: make(call.payload)}, {}
    made: dict[int, Json] = {}
    failures: dict[int, Failure] = {}
    for index, payload in enumerate(call.payloads):
        try:
            made[index] = make(payload)
        except Refused as error:
            failures[index] = failure(error)
    return made, failures


def failure(error: Refused) -> Failure:
    """The same as something to return."""
    return Failure(error.status, str(error), error.code)


def failures_at(indices: Sequence[int], error: Refused) -> Mapping[int, Failure]:
    """All of those payloads failed for one reason."""
    return dict.fromkeys(indices, failure(error))
