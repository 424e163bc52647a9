"""Traits that were sent with identify calls, and which value counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from penstock.profiles.observed import Observed

__all__ = ["combine_traits", "observe_traits", "trait_values"]

State = dict[str, Any]
"""By name: [value, time, receipt, message id, source]; the three in the middle are its order."""
_LAST = "last"
_encode = msgspec.json.Encoder(order="deterministic").encode


def observe_traits(state: State, event: Observed, strategies: Mapping[str, str]) -> list[str]:
    """Take the traits of an identify call into a segment's; returns the names that changed.

    Of values that differ the newest by ``timestamp`` counts, unless ``strategies`` says another
    way for the name. Null takes a trait away, from then on.
    """
    changed = []
    for name, value in event.traits.items():
        entry = [value, *event.order, event.source]
        before = state.get(name)
        after = entry if before is None else _one(strategies.get(name, _LAST), before, entry)
        if after is not before:
            state[name] = after
            changed.append(name)
    return changed


def combine_traits(states: Sequence[State], strategies: Mapping[str, str]) -> State:
    """The traits of several segments as those of one person; the given ones stay as they are."""
    combined: State = {}
    for state in states:
        for name, entry in state.items():
            before = combined.get(name)
            if before is None:
                combined[name] = entry
            else:
                combined[name] = _one(strategies.get(name, _LAST), before, entry)
    return combined


def trait_values(state: State) -> dict[str, Any]:
    """By name, those that have a value; ``name`` is made of first and last name where it lacks."""
    values = {name: entry[0] for name, entry in state.items() if entry[0] is not None}
    if "name" not in values:
        parts = [
            _either(values, "firstName", "first_name"),
            _either(values, "lastName", "last_name"),
        ]
        given = [part for part in parts if isinstance(part, str) and part]
        if len(given) == len(parts):
            values["name"] = " ".join(given)
    return values


def _either(values: Mapping[str, Any], *names: str) -> Any:
    return next((values[name] for name in names if name in values), None)


def _one(strategy: str, one: list[Any], other: list[Any]) -> list[Any]:
    """Which of two entries counts, or what they come to; the same whichever came first."""
    newer, older = (one, other) if _order(one) >= _order(other) else (other, one)
    if strategy == _LAST:
        return newer
    if strategy == "first":
        return older
    if strategy == "union":
        return [_united(older[0], newer[0]), *newer[1:]]
    return _by_number(strategy, one, other, newer)


def _by_number(strategy: str, one: list[Any], other: list[Any], newer: list[Any]) -> list[Any]:
    numbers = [entry for entry in (one, other) if _is_number(entry[0])]
    if len(numbers) == 1 or not numbers:
        return numbers[0] if numbers else newer
    if strategy == "sum":
        total = Decimal(repr(one[0])) + Decimal(repr(other[0]))
        whole = total == total.to_integral_value()
        return [int(total) if whole else float(total), *newer[1:]]
    pick = max if strategy == "max" else min
    return pick(numbers, key=lambda entry: (entry[0], _order(entry)))


def _united(one: Any, other: Any) -> list[Any]:
    """The values of both, each once, in the order of their JSON."""
    values: dict[bytes, Any] = {}
    for given in (one, other):
        for value in given if isinstance(given, list) else [given]:
            if value is not None:
                values[_encode(value)] = value
    return [values[text] for text in sorted(values)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _order(entry: list[Any]) -> tuple[int, int, str]:
    return (entry[1], entry[2], entry[3])
