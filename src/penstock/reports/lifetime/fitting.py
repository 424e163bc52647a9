"""Maximum likelihood: parameters with standard errors, or plain words why data can't give them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from penstock.errors import StatisticsError
from penstock.reports.lifetime.beta_geometric import BgNbd, MbgNbd
from penstock.reports.lifetime.customers import Customers, FloatArray
from penstock.reports.lifetime.maximise import Maximum, Objective, maximise
from penstock.reports.lifetime.model import PurchaseModel
from penstock.reports.lifetime.pareto import ParetoNbd
from penstock.reports.lifetime.spend import GammaGamma, Spending

__all__ = [
    "MODELS",
    "Estimate",
    "ModelName",
    "PurchaseFit",
    "SpendFit",
    "fit_purchases",
    "fit_spend",
]

ModelName: TypeAlias = Literal["bg-nbd", "mbg-nbd", "pareto-nbd"]
MODELS: Mapping[ModelName, type[PurchaseModel]] = {
    "bg-nbd": BgNbd,
    "mbg-nbd": MbgNbd,
    "pareto-nbd": ParetoNbd,
}
"""By the name that a report's parameter takes."""

_LEAST, _MOST = 1e-6, 1e4
"""No parameter is sought beyond these multiples of its natural size, 1 or the mean age.

A shape of 10,000 leaves customers within 1 % of each other; beyond it, rounding hides the slope.
"""
_SAMPLE = 10_000
"""The search begins on so many customers; the end of it starts the search on all of them."""
_NORMAL_95 = 1.959963984540054
_ALIKE = 100.0
"""A shape parameter above this leaves customers within a tenth of each other."""
_UNKNOWN = 3.0
"""A standard error in logarithms: the interval spans a factor of 130,000."""


@dataclass(frozen=True)
class Estimate:
    """A parameter with its standard error and 95 % interval, the latter taken in logarithms.

    ``identified`` is False when the likelihood is flat in this parameter: it may be anything, and
    the error is infinite.
    """

    name: str
    value: float
    error: float
    low: float
    high: float
    identified: bool


@dataclass(frozen=True)
class PurchaseFit:
    """A model of repeat purchases as fitted."""

    model: PurchaseModel
    log_likelihood: float
    customers: int
    estimates: tuple[Estimate, ...]
    notes: tuple[str, ...]
    """What the reader must know before using the figures; empty when all is well."""


@dataclass(frozen=True)
class SpendFit:
    """A model of order values as fitted."""

    model: GammaGamma
    log_likelihood: float
    customers: int
    """Those with an order that was not free; only they are fitted."""
    estimates: tuple[Estimate, ...]
    notes: tuple[str, ...]


def fit_purchases(
    name: ModelName, customers: Customers, *, start: Sequence[float] | None = None
) -> PurchaseFit:
    """Fit a model by maximum likelihood, without penalty.

    The search begins at ``start``, and at the usual starts when none is given or it leads out of
    bounds. Raises StatisticsError when there is no maximum: too few customers, or nobody came back.
    """
    kind = MODELS[name]
    _check_purchases(kind, customers)
    unit = float(customers.age.mean())
    sizes = np.array([unit if name in kind.times else 1.0 for name in kind.parameter_names])
    rate = float(customers.frequency.sum() / customers.age.sum())
    usual = kind.starts(rate)
    first = _checked_start(kind.parameter_names, start)
    guess = None
    if len(customers) > 2 * _SAMPLE:
        sample = customers[:: len(customers) // _SAMPLE]
        if bool((sample.frequency > 0).any()):
            near = _maximum(kind.objective(sample.histories), first, usual, sizes)
            first, usual = near.point, ()
            guess = near.hessian * (len(customers) / len(sample))
    end = _maximum(kind.objective(customers.histories), first, usual, sizes, guess)
    estimates = _estimates(kind.parameter_names, end)
    return PurchaseFit(
        model=kind.of(end.point),
        log_likelihood=end.log_likelihood,
        customers=len(customers),
        estimates=estimates,
        notes=_notes(kind, end, estimates),
    )


def fit_spend(spending: Spending, *, start: Sequence[float] | None = None) -> SpendFit:
    """Fit the Gamma-Gamma model by maximum likelihood to the customers who paid something.

    ``start`` is as in ``fit_purchases``. Raises StatisticsError when there are too few of them, or
    none with more than one order.
    """
    paid = spending.paid()
    _check_spending(paid)
    unit = float(np.exp(np.log(paid.average).mean()))
    sizes = np.array([1.0, 1.0, unit])
    names = GammaGamma.parameter_names
    usual = (np.array([2.0, 3.0, unit]), np.array([20.0, 5.0, unit / 5]))
    end = _maximum(GammaGamma.objective(paid), _checked_start(names, start), usual, sizes)
    estimates = _estimates(names, end)
    free = int((spending.orders > 0).sum()) - len(paid.orders)
    notes = _notes(GammaGamma, end, estimates)
    if free:
        notes += (f"{free} customers whose orders were all free are left out of the fit",)
    model = GammaGamma.of(end.point)
    if model.q <= 1:
        notes += (
            f"q = {model.q:.3g} is not above 1: the mean order value over all customers is "
            "infinite; look for a few orders of another magnitude",
        )
    return SpendFit(model, end.log_likelihood, len(paid.orders), estimates, notes)


def _check_purchases(kind: type[PurchaseModel], customers: Customers) -> None:
    least = len(kind.parameter_names) + 1
    if len(customers) < least:
        raise StatisticsError(
            f"{kind.title} has {least - 1} parameters and needs {least} customers or more to be "
            f"fitted, not {len(customers)}: take in more customers, or give the parameters of an "
            "earlier fit"
        )
    if not bool((customers.frequency > 0).any()):
        raise StatisticsError(
            f"none of the {len(customers)} customers bought twice, so nothing tells how often they "
            f"come back and {kind.title} has no best fit: look further back, or wait for repeat "
            "purchases"
        )
    if float(customers.age.sum()) == 0:
        raise StatisticsError(
            "every customer's first purchase is at the end of observation (age 0): move the end "
            "of observation, --as-of, to a later day"
        )


def _check_spending(paid: Spending) -> None:
    if len(paid.orders) < 4:
        raise StatisticsError(
            "the Gamma-Gamma model has 3 parameters and needs 4 customers or more who paid for an "
            f"order, not {len(paid.orders)}: take in more customers, or use the plain average"
        )
    if not bool((paid.orders > 1).any()):
        raise StatisticsError(
            "every customer who paid has one order, so what differs between orders can't be told "
            "from what differs between customers: use the plain average order value"
        )


def _checked_start(names: tuple[str, ...], start: Sequence[float] | None) -> FloatArray | None:
    if start is None:
        return None
    values = np.asarray(start, dtype=np.float64)
    if values.shape != (len(names),) or not bool((np.isfinite(values) & (values > 0)).all()):
        raise StatisticsError(f"a start is one number above 0 for each of {', '.join(names)}")
    return values


def _maximum(
    objective: Objective,
    first: FloatArray | None,
    usual: Sequence[FloatArray],
    sizes: FloatArray,
    guess: FloatArray | None = None,
) -> Maximum:
    """Climb from ``first``, and from the usual starts if there is none or it ends at a bound.

    A bound may be the end of a ridge that is lower than the summit elsewhere.
    """
    low, high = sizes * _LEAST, sizes * _MOST
    if first is None:
        return maximise(objective, usual, low, high)
    end = maximise(objective, (first,), low, high, hessian=guess)
    if end.at_bound.any() and usual:
        other = maximise(objective, usual, low, high)
        end = max(end, other, key=lambda one: one.log_likelihood)
    return end


def _estimates(names: tuple[str, ...], end: Maximum) -> tuple[Estimate, ...]:
    """Errors from the inverse of the Hessian in logarithms: there the intervals are symmetric."""
    curvatures, directions = np.linalg.eigh(-end.hessian)
    floor = 1e-12 * float(np.abs(curvatures).max())
    with np.errstate(divide="ignore"):
        variances = np.where(curvatures > floor, 1 / np.maximum(curvatures, floor), np.inf)
    errors = np.sqrt(np.where(directions**2 > 1e-6, directions**2 * variances, 0.0).sum(axis=1))
    errors[end.at_bound] = np.inf
    return tuple(
        _estimate(name, float(value), float(error))
        for name, value, error in zip(names, end.point, errors, strict=True)
    )


def _estimate(name: str, value: float, error: float) -> Estimate:
    if error > _UNKNOWN:
        return Estimate(name, value, float("inf"), 0.0, float("inf"), identified=False)
    factor = float(np.exp(_NORMAL_95 * error))
    return Estimate(name, value, value * error, value / factor, value * factor, identified=True)


def _notes(
    kind: type[PurchaseModel] | type[GammaGamma], end: Maximum, estimates: Sequence[Estimate]
) -> tuple[str, ...]:
    if not end.converged:
        return (
            f"the search for the best fit of {kind.title} stopped early: don't use its figures",
        )
    found = {estimate.name: estimate.value for estimate in estimates}
    unknown = [estimate.name for estimate in estimates if not estimate.identified]
    notes = []
    for first, second, what in kind.alike:
        if {first, second} <= set(unknown) and max(found[first], found[second]) > _ALIKE:
            unknown = [name for name in unknown if name not in (first, second)]
            notes.append(
                f"these customers don't differ in {what}, as far as {kind.title} can tell: {first} "
                f"and {second} may be any greater numbers of the same ratio, which changes no "
                "forecast"
            )
    if unknown:
        notes.append(
            f"these customers don't tell {' and '.join(unknown)} of the {kind.title} model: other "
            "values fit as well, so use the ranking and short horizons only, and fit again with "
            "all customers, one-time buyers too, over a longer time"
        )
    return tuple(notes)
