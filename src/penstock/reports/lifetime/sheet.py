"""The lifetime-value spreadsheet of the Toastmates guides, cell by cell.

The sheet is BG/NBD with three departures, kept here on purpose (``as_model`` mends the first two):
it takes the days since the last order as t_x, where the model wants the time from first to last
order; it counts all orders as x, where the model wants repeat orders; and its customers' first
orders are those of the last six months, where the model wants their true first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from penstock.errors import StatisticsError
from penstock.reports.lifetime.beta_geometric import BgNbd
from penstock.reports.lifetime.customers import Customers

__all__ = [
    "PRINTED",
    "Annuity",
    "Sheet",
    "SheetCustomer",
    "SheetForecast",
    "SheetLikelihood",
    "fill_sheet",
    "sheet_customers",
]

PRINTED = BgNbd(r=21.029, alpha=1778.373, a=0.000001, b=3.451)
"""The parameters that the guides print. They are no maximum of the sheet's own likelihood."""


@dataclass(frozen=True)
class SheetCustomer:
    """The blue cells: columns A to E of the first sheet. Days are counted back from today."""

    customer: str
    purchases: int
    days_since_last: float
    days_since_first: float
    average: float


@dataclass(frozen=True)
class Annuity:
    """How the next period's revenue becomes a lifetime value; the guides give the rate only."""

    annual_rate: float = 0.10
    periods: int = 10
    days_per_year: float = 365.0

    def rate(self, days: float) -> float:
        """The rate of a period of so many days."""
        return math.expm1(math.log1p(self.annual_rate) * days / self.days_per_year)

    def factor(self, days: float) -> float:
        """What 1 at the end of each period is worth today."""
        rate = self.rate(days)
        return float(self.periods) if rate == 0 else (1 - (1 + rate) ** -self.periods) / rate


@dataclass(frozen=True)
class SheetLikelihood:
    """Columns F to J of the first sheet, and the two that its formulas use, K and L."""

    ln: float
    """F: the customer's part of the log-likelihood."""
    ln_a1: float
    ln_a2: float
    ln_a3: float
    ln_a4: float | None
    """J: empty without a purchase."""
    x: int
    t_x: float


@dataclass(frozen=True)
class SheetForecast:
    """Columns F to N of the second sheet."""

    lifetime_value: float
    revenue: float
    purchases: float
    bracket: float
    """I: (a + b + x - 1) / (a - 1)."""
    power: float
    """J: ((alpha + T) / (alpha + T + t)) ^ (r + x)."""
    denominator: float
    """K: 1 / P(alive)."""
    z: float
    two_f_one: float
    """M: the series of 2F1, cut off after ``terms`` terms as in the sheet."""
    last_term: float
    """N: the last term of the series, as a share of its sum."""
    exact: float
    """What ``purchases`` is when the series isn't cut off."""


@dataclass(frozen=True)
class Sheet:
    """Both sheets, filled."""

    customers: tuple[SheetCustomer, ...]
    parameters: BgNbd
    total_days: float
    terms: int
    annuity: Annuity
    as_model: bool
    likelihoods: tuple[SheetLikelihood, ...]
    log_likelihood: float
    """B5: the sum of column F."""
    forecasts: tuple[SheetForecast, ...]


def sheet_customers(rows: Sequence[SheetCustomer], *, as_model: bool = False) -> Customers:
    """Give x, t_x and T as the sheet takes them, or as the model means them; for fitting."""
    used = [_used(row, as_model) for row in rows]
    return Customers.of(
        [x for x, _ in used], [t_x for _, t_x in used], [row.days_since_first for row in rows]
    )


def fill_sheet(
    rows: Sequence[SheetCustomer],
    parameters: BgNbd = PRINTED,
    *,
    total_days: float = 181,
    terms: int = 50,
    annuity: Annuity | None = None,
    as_model: bool = False,
) -> Sheet:
    """Compute every cell; the next period is as long as the total time, ``total_days``.

    Raises StatisticsError for rows that are no purchase history.
    """
    annuity = annuity or Annuity()
    if not rows or not total_days > 0 or terms < 2:
        raise StatisticsError(
            "the sheet needs a customer, a total time above 0 and 2 terms or more"
        )
    checked = sheet_customers(rows, as_model=as_model)
    exact = parameters.alive(checked.histories)
    histories = checked.histories
    exact *= parameters.purchases_if_alive(histories.frequency, histories.age, total_days)
    likelihoods = tuple(_likelihood(row, parameters, as_model) for row in rows)
    forecasts = tuple(
        _forecast(row, parameters, as_model, total_days, terms, annuity, float(whole))
        for row, whole in zip(rows, exact[histories.position], strict=True)
    )
    return Sheet(
        customers=tuple(rows),
        parameters=parameters,
        total_days=total_days,
        terms=terms,
        annuity=annuity,
        as_model=as_model,
        likelihoods=likelihoods,
        log_likelihood=math.fsum(cells.ln for cells in likelihoods),
        forecasts=forecasts,
    )


def _used(row: SheetCustomer, as_model: bool) -> tuple[int, float]:
    if as_model:
        return row.purchases - 1, row.days_since_first - row.days_since_last
    return row.purchases, row.days_since_last


def _likelihood(row: SheetCustomer, model: BgNbd, as_model: bool) -> SheetLikelihood:
    r, alpha, a, b = model.values()
    x, t_x = _used(row, as_model)
    ln_a1 = math.lgamma(r + x) - math.lgamma(r) + r * math.log(alpha)
    ln_a2 = math.lgamma(a + b) + math.lgamma(b + x) - math.lgamma(b) - math.lgamma(a + b + x)
    ln_a3 = -(r + x) * math.log(alpha + row.days_since_first)
    if x == 0:
        return SheetLikelihood(ln_a1 + ln_a2 + ln_a3, ln_a1, ln_a2, ln_a3, None, x, t_x)
    ln_a4 = math.log(a) - math.log(b + x - 1) - (r + x) * math.log(alpha + t_x)
    both = float(np.logaddexp(ln_a3, ln_a4))
    return SheetLikelihood(ln_a1 + ln_a2 + both, ln_a1, ln_a2, ln_a3, ln_a4, x, t_x)


def _forecast(
    row: SheetCustomer,
    model: BgNbd,
    as_model: bool,
    days: float,
    terms: int,
    annuity: Annuity,
    exact: float,
) -> SheetForecast:
    r, alpha, a, b = model.values()
    x, t_x = _used(row, as_model)
    since = alpha + row.days_since_first
    z = days / (since + days)
    c = a + b + x - 1
    if a == 1 or c == 0:
        raise StatisticsError(
            "the sheet's formula divides by a - 1 and by a + b + x - 1, one of which is 0 with "
            "these parameters: run Solver, or take the parameters of a fit"
        )
    bracket = c / (a - 1)
    power = math.exp((r + x) * math.log(since / (since + days)))
    gone = a / (b + x - 1) * math.exp((r + x) * math.log(since / (alpha + t_x))) if x > 0 else 0.0
    two_f_one, last = _series(r + x, b + x, c, z, terms)
    purchases = bracket * (1 - power * two_f_one) / (1 + gone)
    revenue = purchases * row.average
    return SheetForecast(
        lifetime_value=revenue * annuity.factor(days),
        revenue=revenue,
        purchases=purchases,
        bracket=bracket,
        power=power,
        denominator=1 + gone,
        z=z,
        two_f_one=two_f_one,
        last_term=last / two_f_one,
        exact=exact,
    )


def _series(a: float, b: float, c: float, z: float, terms: int) -> tuple[float, float]:
    """Give the sum of so many terms of 2F1, and the last of them."""
    total = term = 1.0
    for n in range(terms - 1):
        term *= (a + n) * (b + n) / ((c + n) * (n + 1)) * z
        total += term
    return total, term
