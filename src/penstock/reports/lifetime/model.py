"""What every model of repeat purchases answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import numpy as np

from penstock.reports.lifetime.customers import FloatArray, Histories, IntArray

__all__ = ["PurchaseModel", "log_rising", "negative_binomial"]


class PurchaseModel(ABC):
    """A model with its parameters; times are in the unit of the customers it was fitted to.

    Arrays out have one entry for each history (or age) in.
    """

    title: ClassVar[str]
    parameter_names: ClassVar[tuple[str, ...]]
    times: ClassVar[tuple[str, ...]]
    """The parameters that are times; the others have no unit."""
    alike: ClassVar[tuple[tuple[str, str, str], ...]]
    """Pairs of parameters that grow together when customers don't differ, and in what."""

    @abstractmethod
    def values(self) -> tuple[float, ...]:
        """The parameters, in the order of ``parameter_names``."""

    @abstractmethod
    def alive(self, histories: Histories) -> FloatArray:
        """Probability that the customer will still buy after the end of observation."""

    @abstractmethod
    def purchases_if_alive(
        self, frequency: IntArray, age: FloatArray, horizon: float
    ) -> FloatArray:
        """Expected purchases within ``horizon`` of a customer who is still there."""

    @abstractmethod
    def rate_if_alive(self, frequency: IntArray, age: FloatArray, ahead: FloatArray) -> FloatArray:
        """Expected purchases per unit of time, ``ahead`` after the end of observation.

        ``ahead`` has a row a customer, the others are columns. The customer is there when
        observation ends, and may have left by then.
        """

    @abstractmethod
    def scale(self, age: FloatArray) -> FloatArray:
        """The time in which a customer of this age changes; to place the nodes of integrals."""

    @abstractmethod
    def purchases_by(self, age: FloatArray) -> FloatArray:
        """Expected repeat purchases of a new customer until the given age."""

    @abstractmethod
    def chances_by(self, most: int, age: FloatArray) -> FloatArray:
        """Probability of 0, 1, ... ``most`` repeat purchases until the given age: a row an age."""

    @classmethod
    @abstractmethod
    def of(cls, values: FloatArray) -> PurchaseModel:
        """The model with these parameters, in the order of ``parameter_names``."""

    @classmethod
    @abstractmethod
    def objective(cls, histories: Histories) -> Callable[[FloatArray], tuple[float, FloatArray]]:
        """The log-likelihood of these histories and its gradient, as functions of the values."""

    @classmethod
    @abstractmethod
    def starts(cls, rate: float) -> tuple[FloatArray, ...]:
        """Where to begin the search, given the purchases per unit of time of all customers."""


def log_rising(z: float, most: int) -> tuple[FloatArray, FloatArray]:
    """Give log(Gamma(z + n) / Gamma(z)) for n = 0 ... ``most``, and its derivative in z.

    As sums of logarithms, which keep every digit for large z, where differences of log-gamma
    functions lose them.
    """
    factors = z + np.arange(most, dtype=np.float64)
    logs = np.concatenate([[0.0], np.cumsum(np.log(factors))])
    slopes = np.concatenate([[0.0], np.cumsum(1 / factors)])
    return logs, slopes


def negative_binomial(r: float, most: int, odds: FloatArray) -> FloatArray:
    """Give P(n purchases) for n = 0 ... ``most`` at rate Gamma(r, 1) in time ``odds``: a row each.

    ``odds`` is t / alpha.
    """
    counts = np.arange(most + 1, dtype=np.float64)
    factorials = np.concatenate([[0.0], np.cumsum(np.log(counts[1:]))])
    with np.errstate(divide="ignore", invalid="ignore"):
        powers = np.where(counts == 0, 0.0, counts * np.log(odds / (1 + odds))[..., None])
    logs = log_rising(r, most)[0] - factorials + powers - r * np.log1p(odds)[..., None]
    return np.asarray(np.exp(logs), dtype=np.float64)
