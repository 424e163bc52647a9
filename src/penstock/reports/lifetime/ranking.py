"""Who is worth most, and how unequally."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from penstock.errors import StatisticsError
from penstock.reports.lifetime.customers import FloatArray, IntArray

__all__ = ["Decile", "deciles", "ranks"]


@dataclass(frozen=True)
class Decile:
    """One of the groups of as many customers each; 1 holds those with the highest forecasts."""

    group: int
    customers: int
    lowest: float
    highest: float
    predicted: float
    """Sum over the group."""
    share: float
    """Of the sum over all groups; 0 when that is 0."""
    actual: float | None
    """Sum of what came true, where known."""


def ranks(values: FloatArray) -> IntArray:
    """Give 1 to the highest value, 2 to the next; equal values rank in the order given."""
    order = np.argsort(-values, kind="stable")
    places = np.empty(len(values), dtype=np.int64)
    places[order] = np.arange(1, len(values) + 1)
    return places


def deciles(
    predicted: FloatArray, actual: FloatArray | None = None, *, groups: int = 10
) -> tuple[Decile, ...]:
    """Cut the ranking into groups of as many customers each, to one customer more or less.

    Fewer customers than groups give one group for each customer.
    """
    if groups < 1:
        raise StatisticsError(f"a ranking is cut into 1 group or more, not {groups}")
    if actual is not None and actual.shape != predicted.shape:
        raise StatisticsError(f"{predicted.size} forecasts beside {actual.size} actual values")
    order = np.argsort(-predicted, kind="stable")
    total = float(predicted.sum())
    parts = np.array_split(order, min(groups, len(order))) if len(order) else []
    return tuple(
        Decile(
            group=number,
            customers=len(rows),
            lowest=float(predicted[rows].min()),
            highest=float(predicted[rows].max()),
            predicted=float(predicted[rows].sum()),
            share=float(predicted[rows].sum()) / total if total else 0.0,
            actual=None if actual is None else float(actual[rows].sum()),
        )
        for number, rows in enumerate(parts, start=1)
    )
