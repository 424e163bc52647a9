"""Whether a model deserves trust: its figures beside what was seen, and beside what came later."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from penstock.errors import StatisticsError
from penstock.reports.lifetime.customers import Customers, FloatArray
from penstock.reports.lifetime.model import PurchaseModel

__all__ = ["CalibrationRow", "HoldoutRow", "calibration", "cumulative_purchases", "holdout"]


@dataclass(frozen=True)
class CalibrationRow:
    """Customers with this many repeat purchases while observed; the last row holds all above."""

    purchases: int
    or_more: bool
    observed: int
    expected: float


@dataclass(frozen=True)
class HoldoutRow:
    """What customers with this many repeat purchases did afterwards, on average."""

    purchases: int
    or_more: bool
    customers: int
    actual: float
    expected: float


def calibration(
    model: PurchaseModel, customers: Customers, *, most: int = 7
) -> tuple[CalibrationRow, ...]:
    """Compare counts of repeat purchases with the model's, given each customer's age."""
    _check_most(most)
    ages, counts = np.unique(customers.age, return_counts=True)
    chances = model.chances_by(most - 1, ages)
    below = counts @ chances
    expected = np.append(below, max(0.0, float(counts.sum() - below.sum())))
    observed = np.bincount(np.minimum(customers.frequency, most), minlength=most + 1)
    return tuple(
        CalibrationRow(row, row == most, int(observed[row]), float(expected[row]))
        for row in range(most + 1)
    )


def holdout(
    model: PurchaseModel,
    customers: Customers,
    later: ArrayLike,
    *,
    horizon: float,
    most: int = 7,
) -> tuple[HoldoutRow, ...]:
    """Compare purchases in the ``horizon`` after observation with the model's, by past purchases.

    ``later`` counts each customer's purchases in that time; the model must be fitted to
    ``customers``, who know nothing of it. Rows without customers are left out.
    """
    _check_most(most)
    actual = np.asarray(later, dtype=np.float64)
    if actual.shape != (len(customers),):
        raise StatisticsError(f"{len(customers)} customers need as many later counts")
    histories = customers.histories
    frequency, age, position = histories.without_recency()
    if_alive = model.purchases_if_alive(frequency, age, horizon)[position]
    expected = (model.alive(histories) * if_alive)[histories.position]
    group = np.minimum(customers.frequency, most)
    return tuple(
        HoldoutRow(
            row,
            row == most,
            int(rows.sum()),
            float(actual[rows].mean()),
            float(expected[rows].mean()),
        )
        for row in range(most + 1)
        if (rows := group == row).any()
    )


def cumulative_purchases(
    model: PurchaseModel, customers: Customers, times: ArrayLike
) -> FloatArray:
    """Repeat purchases that the model expects of all customers together until each time.

    Times count from the end of observation: below 0 is the calibration, above 0 the holdout. A
    customer begins ``age`` before that end.
    """
    ages, counts = np.unique(customers.age, return_counts=True)
    return np.array(
        [
            float(counts @ model.purchases_by(np.maximum(ages + time, 0.0)))
            for time in np.atleast_1d(np.asarray(times, dtype=np.float64))
        ]
    )


def _check_most(most: int) -> None:
    if most < 1:
        raise StatisticsError(f"the last row counts 1 purchase or more, not {most}")
