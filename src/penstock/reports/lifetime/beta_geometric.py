"""BG/NBD and MBG/NBD: customers buy at a rate of their own and may leave after each purchase.

BG/NBD: Fader, Hardie and Lee (2005), "Counting your customers" the easy way, Marketing Science
24(2). MBG/NBD: Batislam, Denizel and Filiztekin (2007), Empirical validation and comparison of
models for customer base analysis, International Journal of Research in Marketing 24(3); there a
customer may leave after the first purchase too. With m = 0 for the former, 1 for the latter,

    L = Gamma(r+x) alpha^r / Gamma(r) / B(a, b)
        * (B(a, b+x+m) (alpha+T)^-(r+x) + [x+m > 0] B(a+1, b+x+m-1) (alpha+t_x)^-(r+x))
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from penstock.reports.lifetime.customers import FloatArray, Histories, IntArray
from penstock.reports.lifetime.model import PurchaseModel, log_rising, negative_binomial
from penstock.reports.lifetime.survival import purchases_within, rate_at

__all__ = ["BgNbd", "MbgNbd"]

_BLOCK = 1 << 13
"""Histories at a time, so that what is computed of them stays in the cache."""


@dataclass(frozen=True)
class _BetaGeometric(PurchaseModel):
    """Rate of purchases Gamma(r, alpha), probability of leaving Beta(a, b)."""

    r: float
    alpha: float
    a: float
    b: float

    parameter_names: ClassVar[tuple[str, ...]] = ("r", "alpha", "a", "b")
    times: ClassVar[tuple[str, ...]] = ("alpha",)
    alike: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("r", "alpha", "how often they buy"),
        ("a", "b", "how readily they leave"),
    )
    first_counts: ClassVar[int]
    """1 when a customer may leave after the first purchase."""

    @classmethod
    def of(cls, values: FloatArray) -> Self:
        """The model with these parameters, in the order of ``parameter_names``."""
        r, alpha, a, b = (float(value) for value in values)
        return cls(r, alpha, a, b)

    def values(self) -> tuple[float, ...]:
        """The parameters, in the order of ``parameter_names``."""
        return (self.r, self.alpha, self.a, self.b)

    def alive(self, histories: Histories) -> FloatArray:
        """Probability of not having left after the last purchase.

        Fader, Hardie and Lee (2008), Computing P(alive) using the BG/NBD model.
        """
        x = histories.frequency
        stays = self.b + x + self.first_counts
        with np.errstate(divide="ignore", over="ignore"):
            log_odds = np.log(self.a) - np.log(np.maximum(stays - 1, 0.0))
            log_odds += (self.r + x) * np.log(
                (self.alpha + histories.age) / (self.alpha + histories.recency)
            )
            alive = 1 / (1 + np.exp(log_odds))
        return np.asarray(np.where(x + self.first_counts > 0, alive, 1.0), dtype=np.float64)

    def purchases_if_alive(
        self, frequency: IntArray, age: FloatArray, horizon: float
    ) -> FloatArray:
        """Equation 10 of Fader, Hardie and Lee (2005), less its denominator, P(alive)."""
        x = frequency.astype(np.float64)
        b = x + self.b + self.first_counts
        return purchases_within(x + self.r, self.a, b, horizon / (age + self.alpha))

    def rate_if_alive(self, frequency: IntArray, age: FloatArray, ahead: FloatArray) -> FloatArray:
        """The derivative of ``purchases_if_alive`` in the horizon."""
        since = age + self.alpha
        x = np.broadcast_to(frequency.astype(np.float64), ahead.shape).ravel()
        b = x + self.b + self.first_counts
        rate = rate_at(x + self.r, self.a, b, (ahead / since).ravel())
        return np.asarray(rate.reshape(ahead.shape) / since, dtype=np.float64)

    def scale(self, age: FloatArray) -> FloatArray:
        """Rates fall with the power of (alpha + T + t)."""
        return self.alpha + age

    def purchases_by(self, age: FloatArray) -> FloatArray:
        """Equation 9 of Fader, Hardie and Lee (2005), and its like for MBG/NBD."""
        stayed = (self.b / (self.a + self.b)) ** self.first_counts
        nothing = np.zeros(age.shape)
        b = self.b + self.first_counts + nothing
        return stayed * purchases_within(self.r + nothing, self.a, b, age / self.alpha)

    def chances_by(self, most: int, age: FloatArray) -> FloatArray:
        """Equation 8 of Fader, Hardie and Lee (2005), and its like for MBG/NBD."""
        from scipy.special import betainc

        m = self.first_counts
        odds = age / self.alpha
        counts = np.arange(most + 1)
        stayed = np.exp(log_rising(self.b, most + m)[0] - log_rising(self.a + self.b, most + m)[0])
        left = np.concatenate([[0.0] if m == 0 else [], stayed[:-1] - stayed[1:]])
        at_least = np.ones((len(age), most + 1))
        share = (odds / (1 + odds))[:, None]
        at_least[:, 1:] = betainc(counts[1:], self.r, share)
        exactly = negative_binomial(self.r, most, odds)
        return np.asarray(stayed[m:] * exactly + left * at_least, dtype=np.float64)

    @classmethod
    def objective(cls, histories: Histories) -> Callable[[FloatArray], tuple[float, FloatArray]]:
        """The log-likelihood of these histories and its gradient in r, alpha, a and b."""
        return _Likelihood(histories, cls.first_counts)

    @classmethod
    def starts(cls, rate: float) -> tuple[FloatArray, ...]:
        """Few and many leavers, alike and unlike customers."""
        return (
            np.array([0.5, 0.5 / (2 * rate), 0.8, 2.5]),
            np.array([3.0, 3.0 / rate, 0.3, 6.0]),
        )


class BgNbd(_BetaGeometric):
    """BG/NBD: nobody leaves before the first repeat purchase."""

    title: ClassVar[str] = "BG/NBD"
    first_counts: ClassVar[int] = 0


class MbgNbd(_BetaGeometric):
    """MBG/NBD: a customer may leave after the first purchase too."""

    title: ClassVar[str] = "MBG/NBD"
    first_counts: ClassVar[int] = 1


class _Likelihood:
    """The log-likelihood, with what does not depend on the parameters counted once.

    Terms of x alone are added up over the counts, terms of T alone over the different ages; only
    the terms of those who may have left (x + m > 0) are taken for each history.
    """

    def __init__(self, histories: Histories, first_counts: int) -> None:
        x, weight = histories.frequency, histories.count
        self._m = first_counts
        self._most = int(x.max())
        self._by_count = np.bincount(x, weights=weight)
        self._ages, age_of = np.unique(histories.age, return_inverse=True)
        age_of = age_of.reshape(-1)
        self._by_age = np.bincount(age_of, weights=weight)
        self._x_by_age = np.bincount(age_of, weights=weight * x)
        may_leave = x + first_counts > 0
        self._x = x[may_leave]
        self._weight = weight[may_leave]
        self._age_of = age_of[may_leave]
        self._recencies, recency_of = np.unique(histories.recency[may_leave], return_inverse=True)
        self._recency_of = recency_of.reshape(-1)

    def __call__(self, values: FloatArray) -> tuple[float, FloatArray]:
        r, alpha, a, b = (float(value) for value in values)
        by_count, gradient = self._terms_of_counts(r, a, b)
        to_age = np.log(alpha + self._ages)
        exponents = r * self._by_age + self._x_by_age
        customers = float(self._by_age.sum())

        inverse_age = 1 / (alpha + self._ages)
        value = by_count + customers * r * np.log(alpha) - float(exponents @ to_age)
        gradient[0] += customers * np.log(alpha) - self._by_age @ to_age
        gradient[1] = customers * r / alpha - exponents @ inverse_age
        stays = np.maximum(b + np.arange(self._most + 1) + self._m - 1, 1e-300)
        tables = (
            to_age,
            inverse_age,
            np.log(alpha + self._recencies),
            1 / (alpha + self._recencies),
            np.log(a) - np.log(stays),
            1 / stays,
        )
        for start in range(0, len(self._x), _BLOCK):
            part, slopes = self._may_have_left(slice(start, start + _BLOCK), r, tables)
            value += part
            gradient += slopes / (1, 1, a, -1)
        return value, gradient

    def _may_have_left(
        self, rows: slice, r: float, tables: tuple[FloatArray, ...]
    ) -> tuple[float, FloatArray]:
        """Give the sum of log(1 + odds of having left) and its slopes, in a of its logarithm."""
        to_age, inverse_age, to_recency, inverse_recency, log_odds, inverse_stays = tables
        x, weight = self._x[rows], self._weight[rows]
        age_of, recency_of = self._age_of[rows], self._recency_of[rows]
        k = r + x
        log_ratio = to_age[age_of] - to_recency[recency_of]
        odds = log_odds[x] + k * log_ratio
        small = np.exp(-np.abs(odds))
        left = np.where(odds > 0, 1.0, small) / (1 + small) * weight
        value = float(weight @ (np.maximum(odds, 0) + np.log1p(small)))
        pull = inverse_age[age_of] - inverse_recency[recency_of]
        return value, np.array(
            [left @ log_ratio, (left * k) @ pull, left.sum(), left @ inverse_stays[x]],
            dtype=np.float64,
        )

    def _terms_of_counts(self, r: float, a: float, b: float) -> tuple[float, FloatArray]:
        """The sum of log(Gamma(r+x) / Gamma(r)) and log(B(a, b+x+m) / B(a, b)), and its slopes."""
        most = self._most + self._m
        rate, rate_slope = log_rising(r, self._most)
        stay, stay_slope = (part[self._m :] for part in log_rising(b, most))
        either, either_slope = (part[self._m :] for part in log_rising(a + b, most))
        counts = self._by_count
        value = float(counts @ (rate + stay - either))
        in_a = -float(counts @ either_slope)
        return value, np.array(
            [counts @ rate_slope, 0.0, in_a, in_a + counts @ stay_slope], dtype=np.float64
        )
