"""Purchases of a customer who may leave after each one: the models' 2F1 terms, exactly.

A customer buys at a rate drawn from Gamma(k, 1), in units of the time w = t / (alpha + T), and
leaves after a purchase with a probability p drawn from Beta(a, b). Written out, both functions
below are Gaussian hypergeometric functions:

    purchases_within(w) = c / (a - 1) * (1 - (1 + w)^-k * 2F1(k, b; c; w / (1 + w))),  c = a + b - 1
    rate_at(w)          = k * 2F1(k + 1, a; a + b; -w)

The first is the bracket of Fader, Hardie and Lee (2005), equation 10. Its series overflows for
busy customers, fifty terms of it are not enough when w is large, and it is 0/0 at a = 1. Here the
function is first brought, by Euler's and Pfaff's transformations, to parameters that do not grow
with the customer's purchases; where cancellation would still cost digits, the mean over p is
taken by Gauss quadrature instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from penstock.reports.lifetime.customers import FloatArray
from penstock.reports.lifetime.quadrature import beta_nodes

__all__ = ["purchases_within", "rate_at"]

_LARGE = 100.0
"""Above this, Beta(a, b) is narrow: quadrature is exact and 2F1 would overflow."""
_CANCELLED = 1e-3
"""Below this difference from 1, three digits would be lost."""
_FAR = 20.0
"""Above this, the mean needs more nodes: the integrand has a pole at p = -1 / w."""
_BLOCK = 1 << 12
_Given: TypeAlias = Callable[[FloatArray, FloatArray, FloatArray], FloatArray]


def purchases_within(k: FloatArray, a: float, b: FloatArray, w: FloatArray) -> FloatArray:
    """Expected purchases until time w of a customer who is there at time 0; arrays of one shape."""
    from scipy.special import hyp2f1

    c = a + b - 1
    if a > _LARGE:
        return _mean_over_beta(_purchases_given, k, a, b, w)
    with np.errstate(all="ignore"):
        factor = np.exp(-(a - 1) * np.log1p(w)) * hyp2f1(a - 1, c - k, c, w / (1 + w))
        purchases = c / (a - 1) * (1 - factor)
        doubtful = ~np.isfinite(purchases) | (np.abs(1 - factor) < _CANCELLED)
    doubtful |= (np.abs(c) < _CANCELLED) | (b > _LARGE**2)
    if doubtful.any():
        purchases[doubtful] = _mean_over_beta(
            _purchases_given, k[doubtful], a, b[doubtful], w[doubtful]
        )
    return np.asarray(purchases, dtype=np.float64)


def rate_at(k: FloatArray, a: float, b: FloatArray, w: FloatArray) -> FloatArray:
    """Expected purchases per unit of w at time w: the derivative of ``purchases_within``."""
    from scipy.special import hyp2f1

    if a > _LARGE:
        return _mean_over_beta(_rate_given, k, a, b, w)
    with np.errstate(all="ignore"):
        series = hyp2f1(a, a + b - k - 1, a + b, w / (1 + w))
        rate = k * np.exp(-a * np.log1p(w)) * series
    doubtful = ~np.isfinite(rate) | (b > _LARGE**2)
    if doubtful.any():
        rate[doubtful] = _mean_over_beta(_rate_given, k[doubtful], a, b[doubtful], w[doubtful])
    return np.asarray(rate, dtype=np.float64)


def _purchases_given(k: FloatArray, p: FloatArray, w: FloatArray) -> FloatArray:
    return np.asarray(-np.expm1(-k * np.log1p(p * w)) / p)


def _rate_given(k: FloatArray, p: FloatArray, w: FloatArray) -> FloatArray:
    return np.asarray(k * np.exp(-(k + 1) * np.log1p(p * w)))


def _mean_over_beta(
    given: _Given, k: FloatArray, a: float, b: FloatArray, w: FloatArray
) -> FloatArray:
    """The mean of ``given`` over Beta(a, b), with nodes made once for each value of b."""
    means = np.empty_like(w)
    size = 128 if w.max() < _FAR else 512
    order = np.argsort(b, kind="stable")
    edges = np.flatnonzero(np.diff(b[order])) + 1
    for same in np.split(order, edges):
        nodes, weights = beta_nodes(size, a, float(b[same[0]]))
        for start in range(0, len(same), _BLOCK):
            rows = same[start : start + _BLOCK]
            means[rows] = given(k[rows, None], nodes, w[rows, None]) @ weights
    return means
