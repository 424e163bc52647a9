"""The hypergeometric terms in many digits, where fifty terms of the series are not enough."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import mpmath
import numpy as np
import pytest

from penstock.reports.lifetime import FloatArray
from penstock.reports.lifetime.quadrature import beta_nodes
from penstock.reports.lifetime.survival import purchases_within, rate_at

DRAWS = 300
_Ours: TypeAlias = Callable[[FloatArray, float, FloatArray, FloatArray], FloatArray]


def _draws() -> list[tuple[float, float, float, float]]:
    """k, a, b and w from a wide range, and the corners that break the written formula."""
    rng = np.random.default_rng(11)
    drawn = []
    for _ in range(DRAWS):
        x = int(np.exp(rng.uniform(0, np.log(1000)))) - 1
        r, a, b, w = np.exp(
            rng.uniform(np.log([0.01, 1e-3, 0.01, 1e-3]), np.log([50, 300, 3e3, 300]))
        )
        drawn.append((float(r + x), float(a), float(b + x), float(w)))
    corners = [
        (5.3, 1.0, 7.0, 2.0),  # a - 1 is 0
        (5.3, 1.0 + 1e-12, 7.0, 2.0),
        (0.3, 0.4, 0.6, 5.0),  # a + b - 1 is 0
        (0.3, 0.2, 0.3, 5.0),  # a + b - 1 is below 0
        (900.5, 0.8, 903.0, 0.01),  # the series overflows
        (42.0, 1e-6, 24.0, 0.09),  # the guides' sheet
        (3.2, 0.8, 5.4, 1e4),  # z is 0.9999
    ]
    return drawn + corners


def _purchases(k: Any, a: Any, b: Any, w: Any) -> Any:
    """The written formula, by Pfaff's transformation, whose series mpmath sums quickly."""
    c = a + b - 1
    return c / (a - 1) * (1 - (1 + w) ** (1 - a) * mpmath.hyp2f1(a - 1, c - k, c, w / (1 + w)))


def _rate(k: Any, a: Any, b: Any, w: Any) -> Any:
    return k * (1 + w) ** -a * mpmath.hyp2f1(a, a + b - k - 1, a + b, w / (1 + w))


@pytest.mark.parametrize(("ours", "theirs"), [(purchases_within, _purchases), (rate_at, _rate)])
def test_both_functions_have_all_their_digits(ours: _Ours, theirs: Callable[..., Any]) -> None:
    for k, a, b, w in _draws():
        found = float(ours(np.array([k]), a, np.array([b]), np.array([w]))[0])
        with mpmath.workdps(100):
            hair = mpmath.mpf(10) ** -40  # off the formula's removable poles at a = 1, a + b = 1
            exact = theirs(mpmath.mpf(k), a + hair, b + hair, mpmath.mpf(w))
        assert found == pytest.approx(float(exact), rel=3e-11), (k, a, b, w)


def test_a_narrow_distribution_is_as_one_probability_for_all() -> None:
    p, k, w = 0.2, 0.6, 3.0
    found = purchases_within(np.array([k]), 5e5, np.array([2e6]), np.array([w]))[0]
    assert found == pytest.approx((1 - (1 + p * w) ** -k) / p, rel=1e-5)


def test_fifty_terms_are_not_enough_where_ours_are() -> None:
    k, a, b, w = 3.2, 0.8, 5.4, 40.0
    c, z = a + b - 1, w / (1 + w)
    total = term = 1.0
    for n in range(49):
        term *= (k + n) * (b + n) / ((c + n) * (n + 1)) * z
        total += term
    cut = c / (a - 1) * (1 - (1 + w) ** -k * total)
    with mpmath.workdps(50):
        theirs = float(_purchases(*(mpmath.mpf(v) for v in (k, a, b, w))))
    assert abs(cut / theirs - 1) > 0.05
    ours = purchases_within(np.array([k]), a, np.array([b]), np.array([w]))[0]
    assert ours == pytest.approx(theirs, rel=1e-12)


@pytest.mark.parametrize(("a", "b"), [(0.5, 0.5), (0.3, 0.7), (1e-6, 24.0), (3.0, 2.0), (4e4, 1e6)])
def test_nodes_of_the_beta_distribution_give_its_moments(a: float, b: float) -> None:
    nodes, weights = beta_nodes(16, a, b)
    assert weights.sum() == pytest.approx(1, rel=1e-12)
    moment = 1.0
    for power in range(1, 6):
        moment *= (a + power - 1) / (a + b + power - 1)
        assert weights @ nodes**power == pytest.approx(moment, rel=1e-9)
