"""Pareto/NBD: customers buy at a rate of their own and leave at a rate of their own.

Schmittlein, Morrison and Colombo (1987), Counting your customers: who are they and what will
they do next? Management Science 33(1), in the notation of Fader and Hardie (2005), A note on
deriving the Pareto/NBD model and related expressions:

    L = Gamma(r+x) alpha^r beta^s / Gamma(r)
        * ((alpha+T)^-(r+x) (beta+T)^-s
           + s * integral from t_x to T of (alpha+u)^-(r+x) (beta+u)^-(s+1) du)

The integral, written there as two hypergeometric functions, is taken by quadrature, which gives
the gradient by the same nodes and has no case in which it fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from penstock.reports.lifetime.customers import FloatArray, Histories, IntArray
from penstock.reports.lifetime.model import PurchaseModel, log_rising, negative_binomial
from penstock.reports.lifetime.quadrature import legendre_nodes

__all__ = ["ParetoNbd"]

_NODES = 40
_NEGLIGIBLE = 45.0
"""exp of minus this is below rounding: where the integrand has fallen so far, it ends."""
_BLOCK = 1 << 11


@dataclass(frozen=True)
class ParetoNbd(PurchaseModel):
    """Rate of purchases Gamma(r, alpha), rate of leaving Gamma(s, beta)."""

    r: float
    alpha: float
    s: float
    beta: float

    title: ClassVar[str] = "Pareto/NBD"
    parameter_names: ClassVar[tuple[str, ...]] = ("r", "alpha", "s", "beta")
    times: ClassVar[tuple[str, ...]] = ("alpha", "beta")
    alike: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("r", "alpha", "how often they buy"),
        ("s", "beta", "how readily they leave"),
    )

    @classmethod
    def of(cls, values: FloatArray) -> ParetoNbd:
        """The model with these parameters, in the order of ``parameter_names``."""
        r, alpha, s, beta = (float(value) for value in values)
        return cls(r, alpha, s, beta)

    def values(self) -> tuple[float, ...]:
        """The parameters, in the order of ``parameter_names``."""
        return (self.r, self.alpha, self.s, self.beta)

    def alive(self, histories: Histories) -> FloatArray:
        """Share of the likelihood that belongs to those still there at T."""
        alive = np.empty(len(histories.age))
        for rows in _blocks(len(alive)):
            alive[rows] = _Terms(self.values(), histories, rows).alive
        return alive

    def purchases_if_alive(
        self, frequency: IntArray, age: FloatArray, horizon: float
    ) -> FloatArray:
        """Equation 41 of Fader and Hardie (2005), less P(alive)."""
        since = self.beta + age
        rate = (self.r + frequency) / (self.alpha + age)
        return np.asarray(rate * since * self._stayed(horizon / since), dtype=np.float64)

    def rate_if_alive(self, frequency: IntArray, age: FloatArray, ahead: FloatArray) -> FloatArray:
        """The derivative of ``purchases_if_alive`` in the horizon."""
        rate = (self.r + frequency) / (self.alpha + age)
        stayed = np.exp(-self.s * np.log1p(ahead / (self.beta + age)))
        return np.asarray(rate * stayed, dtype=np.float64)

    def scale(self, age: FloatArray) -> FloatArray:
        """Rates fall with the power of (beta + T + t)."""
        return self.beta + age

    def purchases_by(self, age: FloatArray) -> FloatArray:
        """r beta / (alpha (s - 1)) * (1 - (beta / (beta + t))^(s - 1)), also at s = 1."""
        return np.asarray(
            self.r / self.alpha * self.beta * self._stayed(age / self.beta), dtype=np.float64
        )

    def chances_by(self, most: int, age: FloatArray) -> FloatArray:
        """Those still there, and an integral over the age at which the others left."""
        shorter = min(self.alpha, self.beta)
        nodes, weights = legendre_nodes(2 * _NODES)
        stayed = np.exp(-self.s * np.log1p(age / self.beta))
        chances = stayed[:, None] * negative_binomial(self.r, most, age / self.alpha)
        for row, until in enumerate(age):
            length = np.log1p(until / shorter)
            left = shorter * np.expm1(nodes * length)
            density = self.s / self.beta * np.exp(-(self.s + 1) * np.log1p(left / self.beta))
            mass = weights * length * (shorter + left) * density
            chances[row] += mass @ negative_binomial(self.r, most, left / self.alpha)
        return chances

    def _stayed(self, ahead: FloatArray) -> FloatArray:
        """The mean time of staying in (0, ahead), times in units of beta + T."""
        length = np.log1p(ahead)
        exponent = (self.s - 1) * length
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(np.abs(exponent) < 1e-12, 1.0, -np.expm1(-exponent) / exponent)
        return np.asarray(length * mean, dtype=np.float64)

    @classmethod
    def objective(cls, histories: Histories) -> Callable[[FloatArray], tuple[float, FloatArray]]:
        """The log-likelihood of these histories and its gradient in r, alpha, s and beta."""
        by_count = np.bincount(histories.frequency, weights=histories.count)
        customers = float(by_count.sum())

        def likelihood(values: FloatArray) -> tuple[float, FloatArray]:
            r, alpha, s, beta = (float(value) for value in values)
            rate, rate_slope = log_rising(r, len(by_count) - 1)
            value = float(by_count @ rate)
            value += customers * (r * np.log(alpha) + s * np.log(beta))
            gradient = customers * np.array([np.log(alpha), r / alpha, np.log(beta), s / beta])
            gradient[0] += by_count @ rate_slope
            for rows in _blocks(len(histories.age)):
                terms = _Terms((r, alpha, s, beta), histories, rows)
                weight = histories.count[rows]
                value += float(weight @ terms.log_total)
                gradient += weight @ terms.slopes()
            return value, gradient

        return likelihood

    @classmethod
    def starts(cls, rate: float) -> tuple[FloatArray, ...]:
        """Few and many leavers, alike and unlike customers."""
        return (
            np.array([0.5, 0.5 / (2 * rate), 0.6, 0.6 / (2 * rate)]),
            np.array([3.0, 3.0 / rate, 0.5, 10.0 / rate]),
        )


class _Terms:
    """The bracket of the likelihood for some histories: its logarithm, its parts, its slopes.

    The integral is taken over v = log(u + min(alpha, beta)), in which the integrand has no pole
    within pi of the real line, and no further than it matters.
    """

    def __init__(self, values: tuple[float, ...], histories: Histories, rows: slice) -> None:
        r, alpha, s, beta = values
        self._values = values
        recency, age = histories.recency[rows], histories.age[rows]
        self._age = age
        self._k = r + histories.frequency[rows]
        near, far = min(alpha, beta), max(alpha, beta)
        nodes, weights = legendre_nodes(_NODES)
        start = np.log(near + recency)
        slower = (near + recency) / (far + recency)
        fall = self._k + (s + 1) * slower if near == alpha else s + 1 + self._k * slower
        length = np.minimum(np.log(near + age) - start, _NEGLIGIBLE / np.maximum(fall - 1, 1e-9))
        stretched = start[:, None] + length[:, None] * nodes
        self._left = np.exp(stretched) - near
        self._log_alpha = np.log(alpha + self._left)
        self._log_beta = np.log(beta + self._left)
        with np.errstate(divide="ignore"):
            gone = np.log(s * length)[:, None] + np.log(weights) + stretched
        gone -= self._k[:, None] * self._log_alpha + (s + 1) * self._log_beta
        here = -self._k * np.log(alpha + age) - s * np.log(beta + age)
        top = np.maximum(here, gone.max(axis=1))
        self._gone = np.exp(gone - top[:, None])
        self.alive = np.exp(here - top)
        total = self.alive + self._gone.sum(axis=1)
        self.log_total = top + np.log(total)
        self.alive /= total
        self._gone /= total[:, None]

    def slopes(self) -> FloatArray:
        """The gradient of ``log_total`` in r, alpha, s and beta: a row a history."""
        _, alpha, s, beta = self._values
        gone = self._gone.sum(axis=1)
        columns = (
            -self._mean(np.log(alpha + self._age), self._log_alpha),
            -self._k * self._mean(1 / (alpha + self._age), 1 / (alpha + self._left)),
            gone / s - self._mean(np.log(beta + self._age), self._log_beta),
            -s * self.alive / (beta + self._age)
            - (s + 1) * (self._gone / (beta + self._left)).sum(axis=1),
        )
        return np.stack(columns, axis=1)

    def _mean(self, here: FloatArray, gone: FloatArray) -> FloatArray:
        return np.asarray(self.alive * here + (self._gone * gone).sum(axis=1), dtype=np.float64)


def _blocks(size: int) -> Iterator[slice]:
    """Rows at a time, so that the nodes of a block stay in the cache."""
    for start in range(0, size, _BLOCK):
        yield slice(start, min(start + _BLOCK, size))
