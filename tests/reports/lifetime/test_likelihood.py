"""Likelihoods against their published formulas in many digits; gradients against differences."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest

from penstock.reports.lifetime import (
    MODELS,
    Customers,
    FloatArray,
    GammaGamma,
    ModelName,
    ParetoNbd,
    Spending,
)
from penstock.reports.lifetime.maximise import Objective
from tests.reports.lifetime import cdnow

DRAWS = 60


def _log_uniform(rng: np.random.Generator, low: float, high: float, size: int) -> FloatArray:
    return np.asarray(np.exp(rng.uniform(np.log(low), np.log(high), size)), dtype=np.float64)


def _gradient_error(objective: Objective, values: FloatArray) -> float:
    """The worst difference between a slope and its central difference, as a share of the slope."""
    errors = []
    _, slopes = objective(values)
    for index, slope in enumerate(slopes):
        probe = np.zeros(len(values))
        probe[index] = values[index] * 1e-5
        change = objective(values + probe)[0] - objective(values - probe)[0]
        errors.append(abs(change / (2 * probe[index]) / slope - 1))
    return float(max(errors))


@pytest.mark.parametrize("name", list(MODELS))
def test_gradients_are_those_of_the_likelihood(name: ModelName) -> None:
    objective = MODELS[name].objective(cdnow.customers().histories)
    rng = np.random.default_rng(5)
    for _ in range(8):
        values = np.array([0.5, 8.0, 0.9, 4.0]) * _log_uniform(rng, 0.05, 20, 4)
        assert _gradient_error(objective, values) < 1e-5


def test_the_gradient_of_gamma_gamma_is_that_of_its_likelihood() -> None:
    objective = GammaGamma.objective(cdnow.spending().paid())
    rng = np.random.default_rng(6)
    for _ in range(8):
        values = np.array([6.0, 4.0, 15.0]) * _log_uniform(rng, 0.1, 10, 3)
        assert _gradient_error(objective, values) < 1e-5


def test_pareto_nbd_is_its_formula_by_hypergeometric_functions() -> None:
    rng = np.random.default_rng(7)
    for _ in range(DRAWS):
        values = _log_uniform(rng, 0.02, 50, 4) * (1, 20, 1, 20)
        x, recency, age = _history(rng)
        ours, _ = ParetoNbd.objective(Customers.of([x], [recency], [age]).histories)(values)
        theirs = _pareto_by_2f1(values, x, recency, age)
        assert ours == pytest.approx(theirs, rel=1e-11, abs=1e-11), (values, x, recency, age)


@pytest.mark.parametrize(("name", "m"), [("bg-nbd", 0), ("mbg-nbd", 1)])
def test_beta_geometric_models_are_their_formulas(name: ModelName, m: int) -> None:
    rng = np.random.default_rng(8)
    for _ in range(DRAWS):
        values = _log_uniform(rng, 0.02, 50, 4) * (1, 20, 1, 1)
        x, recency, age = _history(rng)
        ours, _ = MODELS[name].objective(Customers.of([x], [recency], [age]).histories)(values)
        assert ours == pytest.approx(
            _beta_geometric(values, x, recency, age, m), rel=1e-11, abs=1e-11
        )


@pytest.mark.parametrize("name", list(MODELS))
def test_many_purchases_and_long_times_stay_finite(name: ModelName) -> None:
    histories = Customers.of([5000, 0, 3], [3649.0, 0.0, 1e-9], [3650.0, 1e6, 1e-9]).histories
    for values in ([0.3, 1e-3, 0.3, 1e-3], [40.0, 1e4, 1e4, 1e6], [1e-5, 1e-5, 1e-5, 1e-5]):
        value, slopes = MODELS[name].objective(histories)(np.array(values))
        assert np.isfinite(value) and np.isfinite(slopes).all()


def _history(rng: np.random.Generator) -> tuple[int, float, float]:
    age = float(rng.uniform(1, 400))
    x = int(np.exp(rng.uniform(0, np.log(200)))) - 1
    return x, float(rng.uniform(0, age)) if x else 0.0, age


def _beta_geometric(values: FloatArray, x: int, recency: float, age: float, m: int) -> float:
    with mpmath.workdps(40):
        r, alpha, a, b = (mpmath.mpf(float(value)) for value in values)
        total = mpmath.beta(a, b + x + m) * (alpha + age) ** -(r + x)
        if x + m > 0:
            total += mpmath.beta(a + 1, b + x + m - 1) * (alpha + recency) ** -(r + x)
        head = mpmath.gamma(r + x) * alpha**r / mpmath.gamma(r) / mpmath.beta(a, b)
        return float(mpmath.log(head * total))


def _pareto_by_2f1(values: FloatArray, x: int, recency: float, age: float) -> float:
    """Equations 18 to 20 of Fader and Hardie (2005), A note on deriving the Pareto/NBD model."""
    with mpmath.workdps(60):
        r, alpha, s, beta = (mpmath.mpf(float(value)) for value in values)
        more, parameter = (alpha, s + 1) if alpha >= beta else (beta, r + x)

        def term(time: float) -> Any:
            z = abs(alpha - beta) / (more + time)
            series = mpmath.hyp2f1(r + s + x, parameter, r + s + x + 1, z)
            return series / (more + time) ** (r + s + x)

        here = 1 / ((alpha + age) ** (r + x) * (beta + age) ** s)
        gone = s / (r + s + x) * (term(recency) - term(age))
        head = mpmath.gamma(r + x) * alpha**r * beta**s / mpmath.gamma(r)
        return float(mpmath.log(head * (here + gone)))


def test_gamma_gamma_is_its_formula() -> None:
    rng = np.random.default_rng(9)
    for _ in range(DRAWS):
        p, q, gamma = (float(value) for value in _log_uniform(rng, 0.1, 100, 3))
        x, m = int(rng.integers(1, 100)), float(_log_uniform(rng, 0.01, 1e4, 1)[0])
        paid = Spending.of([x], [m])
        with mpmath.workdps(40):
            density = mpmath.gamma(mpmath.mpf(p) * x + q)
            density /= mpmath.gamma(mpmath.mpf(p) * x) * mpmath.gamma(q)
            density *= mpmath.mpf(gamma) ** q * mpmath.mpf(m) ** (p * x - 1)
            density *= mpmath.mpf(x) ** (p * x) / (mpmath.mpf(gamma) + m * x) ** (p * x + q)
            expected = float(mpmath.log(density))
        ours, _ = GammaGamma.objective(paid)(np.array([p, q, gamma]))
        assert ours == pytest.approx(expected, rel=1e-10, abs=1e-9)
