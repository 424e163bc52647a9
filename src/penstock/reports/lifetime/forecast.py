"""From a fitted model to figures for each customer: alive, purchases, value today."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from penstock.errors import StatisticsError
from penstock.reports.lifetime.customers import Customers, FloatArray, Histories
from penstock.reports.lifetime.model import PurchaseModel
from penstock.reports.lifetime.quadrature import legendre_nodes

__all__ = ["Discount", "Forecast", "discounted_purchases", "forecast"]

_NODES = 48
_NEGLIGIBLE = 45.0
"""exp of minus this is below rounding: money later than that is worth nothing today."""
_BLOCK = 1 << 12


@dataclass(frozen=True)
class Discount:
    """What waiting costs: a rate a year, such as 0.10, compounded; continuous within the year."""

    annual_rate: float = 0.10
    days_per_year: float = 365.0
    days_per_unit: float = 1.0
    """How many days one unit of the customers' recency and age has."""

    def __post_init__(self) -> None:
        if not (self.annual_rate >= 0 and math.isfinite(self.annual_rate)):
            raise StatisticsError(
                f"the discount rate is a share a year of 0 or more, such as 0.1 for 10 %, "
                f"not {self.annual_rate}"
            )

    @property
    def force(self) -> float:
        """The continuous rate per unit of time."""
        return math.log1p(self.annual_rate) / self.days_per_year * self.days_per_unit


@dataclass(frozen=True)
class Forecast:
    """One entry a customer, in the order given; money in the unit of the order values."""

    alive: FloatArray
    """Probability that the customer still buys."""
    purchases: FloatArray
    """Expected within the horizon."""
    discounted_purchases: FloatArray
    """Expected within the horizon of value, each counted at what it is worth today."""
    order_value: FloatArray
    revenue: FloatArray
    """Purchases times order value."""
    value: FloatArray
    """Discounted purchases times order value: what the customer's future is worth today."""


def forecast(
    model: PurchaseModel,
    customers: Customers,
    order_value: FloatArray,
    *,
    horizon: float,
    discount: Discount,
    value_horizon: float | None = None,
) -> Forecast:
    """Forecast each customer; horizons in the customers' unit of time, from the end of observation.

    ``value_horizon`` is that of the value; None takes the same, ``math.inf`` all of the future.
    ``order_value`` is the value expected of an order, one entry a customer. Raises
    StatisticsError for a horizon that has no answer.
    """
    if not (0 < horizon < math.inf):
        raise StatisticsError(f"the horizon is a time above 0, not {horizon}")
    if order_value.shape != (len(customers),):
        raise StatisticsError(
            f"{len(customers)} customers need {len(customers)} order values, not {order_value.size}"
        )
    histories = customers.histories
    alive = model.alive(histories)
    frequency, age, position = histories.without_recency()
    purchases = alive * model.purchases_if_alive(frequency, age, horizon)[position]
    until = horizon if value_horizon is None else value_horizon
    discounted = discounted_purchases(model, histories, until, discount.force, alive=alive)
    rows = histories.position
    return Forecast(
        alive=alive[rows],
        purchases=purchases[rows],
        discounted_purchases=discounted[rows],
        order_value=order_value,
        revenue=purchases[rows] * order_value,
        value=discounted[rows] * order_value,
    )


def discounted_purchases(
    model: PurchaseModel,
    histories: Histories,
    horizon: float,
    force: float,
    *,
    alive: FloatArray | None = None,
) -> FloatArray:
    """Expected purchases within ``horizon``, each counted as exp(-force * time until it).

    With ``math.inf`` these are the discounted expected residual transactions of Fader, Hardie
    and Lee (2005), RFM and CLV. One entry a history.
    """
    if not horizon > 0 or (math.isinf(horizon) and force <= 0):
        raise StatisticsError(
            "the value of all of the future needs a discount rate above 0: give one, or a horizon"
        )
    alive = model.alive(histories) if alive is None else alive
    frequency, age, position = histories.without_recency()
    until = min(horizon, _NEGLIGIBLE / force) if force > 0 else horizon
    nodes, weights = legendre_nodes(_NODES)
    discounted = np.empty(len(age))
    for start in range(0, len(age), _BLOCK):
        rows = slice(start, start + _BLOCK)
        scale = model.scale(age[rows])[:, None]
        length = np.log1p(until / scale)
        ahead = scale * np.expm1(length * nodes)
        rate = model.rate_if_alive(frequency[rows, None], age[rows, None], ahead)
        discounted[rows] = (rate * np.exp(-force * ahead) * (scale + ahead) * length) @ weights
    return np.asarray(alive * discounted[position], dtype=np.float64)
