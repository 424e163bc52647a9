"""Gamma-Gamma: what a customer pays on average, freed from the luck of a few orders.

Fader and Hardie (2013), The Gamma-Gamma model of monetary value; Fader, Hardie and Lee (2005),
RFM and CLV: using iso-value curves for customer base analysis, Journal of Marketing Research
42(4). An order's value is Gamma(p, nu), nu is Gamma(q, gamma) over the customers, and a customer
with x orders of average m has the density

    Gamma(px+q) / (Gamma(px) Gamma(q)) gamma^q m^(px-1) x^(px) / (gamma + m x)^(px+q)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from penstock.errors import StatisticsError
from penstock.reports.lifetime.customers import FloatArray

__all__ = ["GammaGamma", "Spending"]


@dataclass(frozen=True)
class Spending:
    """Orders counted and their average value, an entry a customer; average is 0 for no orders."""

    orders: FloatArray
    average: FloatArray

    @classmethod
    def of(cls, orders: ArrayLike, average: ArrayLike) -> Spending:
        """Check and hold two arrays of one length; raises StatisticsError."""
        counts = np.atleast_1d(np.asarray(orders, dtype=np.float64))
        averages = np.atleast_1d(np.asarray(average, dtype=np.float64))
        if counts.ndim != 1 or counts.shape != averages.shape:
            raise StatisticsError(
                f"orders and average must be two columns of one length, not {counts.shape} and "
                f"{averages.shape}"
            )
        averages = np.where(counts == 0, 0.0, averages)
        if not bool((np.isfinite(counts) & np.isfinite(averages) & (counts >= 0)).all()):
            raise StatisticsError(
                "orders must be counts, and every customer with orders needs an average value"
            )
        below = averages < 0
        if below.any():
            raise StatisticsError(
                f"{int(below.sum())} customers have a negative average order value, the first in "
                f"row {int(np.argmax(below))} (from 0): take refunds off the orders they belong "
                "to, or leave out orders that were refunded whole"
            )
        return cls(counts, averages)

    def paid(self) -> Spending:
        """Only the customers whose average tells something: with orders, and not for free."""
        rows = (self.orders > 0) & (self.average > 0)
        return Spending(self.orders[rows], self.average[rows])


@dataclass(frozen=True)
class GammaGamma:
    """The distribution of order values within (p) and between (q, gamma) customers."""

    p: float
    q: float
    gamma: float

    title: ClassVar[str] = "Gamma-Gamma"
    parameter_names: ClassVar[tuple[str, ...]] = ("p", "q", "gamma")
    alike: ClassVar[tuple[tuple[str, str, str], ...]] = (("q", "gamma", "what they pay"),)

    @classmethod
    def of(cls, values: FloatArray) -> GammaGamma:
        """The model with these parameters, in the order of ``parameter_names``."""
        p, q, gamma = (float(value) for value in values)
        return cls(p, q, gamma)

    def values(self) -> tuple[float, ...]:
        """The parameters, in the order of ``parameter_names``."""
        return (self.p, self.q, self.gamma)

    def mean(self) -> float:
        """The mean order value over all customers; infinite when q is 1 or less."""
        return self.p * self.gamma / (self.q - 1) if self.q > 1 else float("inf")

    def expected(self, spending: Spending) -> FloatArray:
        """Each customer's expected order value: their average drawn towards the mean of all.

        Raises StatisticsError for customers for whom it is infinite (px + q of 1 or less).
        """
        shape = self.p * spending.orders + self.q
        if bool((shape <= 1).any()):
            raise StatisticsError(
                f"the Gamma-Gamma model has no mean order value for {int((shape <= 1).sum())} "
                f"customers without orders, as q = {self.q:.3g} is not above 1: order values are "
                "too unlike; leave out the largest orders, or use the plain average"
            )
        paid = self.gamma + spending.orders * spending.average
        return np.asarray(self.p * paid / (shape - 1), dtype=np.float64)

    @classmethod
    def objective(cls, paid: Spending) -> Callable[[FloatArray], tuple[float, FloatArray]]:
        """The log-likelihood of customers who paid, and its gradient in p, q and gamma."""
        from scipy.special import digamma, gammaln

        x, m = paid.orders, paid.average
        levels, level_of, counts = np.unique(x, return_inverse=True, return_counts=True)
        level_of = level_of.reshape(-1)
        total = x * m
        log_total = np.log(total)
        log_total_by_x = np.bincount(level_of, weights=log_total)
        constant = -float(np.log(m).sum())

        def likelihood(values: FloatArray) -> tuple[float, FloatArray]:
            p, q, gamma = (float(value) for value in values)
            grown = np.log(gamma + total)
            grown_by_x = np.bincount(level_of, weights=grown)
            shape = p * levels
            value = constant + float(counts @ (gammaln(shape + q) - gammaln(shape) - gammaln(q)))
            value += float(shape @ log_total_by_x - (shape + q) @ grown_by_x)
            value += len(x) * q * np.log(gamma)
            both = digamma(shape + q)
            in_p = levels @ (counts * (both - digamma(shape)) + log_total_by_x - grown_by_x)
            in_q = counts @ (both - digamma(q)) + len(x) * np.log(gamma) - grown.sum()
            in_gamma = len(x) * q / gamma - (shape + q)[level_of] @ (1 / (gamma + total))
            return value, np.array([in_p, in_q, in_gamma], dtype=np.float64)

        return likelihood
