"""Intervals hold the truth as often as they claim, and fits find it."""

from __future__ import annotations

import numpy as np
import pytest

from penstock.reports.lifetime import BgNbd, MbgNbd, ModelName, ParetoNbd, fit_purchases, fit_spend
from penstock.reports.lifetime.spend import Spending
from tests.reports.lifetime.drawn import draw

TRUTHS: dict[ModelName, BgNbd | MbgNbd | ParetoNbd] = {
    "bg-nbd": BgNbd(0.8, 12.0, 0.8, 3.0),
    "mbg-nbd": MbgNbd(0.8, 12.0, 0.8, 3.0),
    "pareto-nbd": ParetoNbd(0.8, 12.0, 0.8, 20.0),
}


def _coverage(name: ModelName, repeats: int, size: int) -> np.ndarray:
    """How often each parameter's 95 % interval held the truth."""
    truth = TRUTHS[name]
    held = np.zeros(4)
    for seed in range(repeats):
        rng = np.random.default_rng([seed, 17])
        customers = draw(truth, size, rng, age=(20, 90), horizon=0).customers
        estimates = fit_purchases(name, customers).estimates
        held += [
            estimate.low <= value <= estimate.high
            for estimate, value in zip(estimates, truth.values(), strict=True)
        ]
    return held / repeats


@pytest.mark.parametrize(("name", "repeats"), [("bg-nbd", 60), ("mbg-nbd", 60), ("pareto-nbd", 12)])
def test_intervals_hold_the_truth_mostly(name: ModelName, repeats: int) -> None:
    """At 95 %, fewer than 50 of 60 (8 of 12) happen once in some thousands of runs."""
    assert (_coverage(name, repeats, 1500) >= (0.83 if repeats == 60 else 0.66)).all()


@pytest.mark.soak
@pytest.mark.parametrize("name", list(TRUTHS))
def test_intervals_hold_the_truth_as_often_as_they_claim(name: ModelName) -> None:
    """Over 400 runs the share lies within 4 standard errors, 4.4 points, of 95 %."""
    assert _coverage(name, 400, 2000) == pytest.approx(np.full(4, 0.95), abs=0.044)


def test_gamma_gamma_intervals_hold_the_truth_mostly() -> None:
    truth = (4.0, 5.0, 30.0)
    held = np.zeros(3)
    for seed in range(60):
        rng = np.random.default_rng([seed, 23])
        orders = rng.integers(1, 8, 800)
        scale = rng.gamma(truth[1], 1 / truth[2], 800)
        average = rng.gamma(truth[0] * orders) / scale / orders
        estimates = fit_spend(Spending.of(orders, average)).estimates
        held += [
            estimate.low <= value <= estimate.high
            for estimate, value in zip(estimates, truth, strict=True)
        ]
    assert (held >= 50).all()
