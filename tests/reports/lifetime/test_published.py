"""The estimates of the papers, from their data."""

from __future__ import annotations

import numpy as np
import pytest

from penstock.reports.lifetime import (
    MODELS,
    Customers,
    Histories,
    ModelName,
    PurchaseFit,
    fit_purchases,
    fit_spend,
)
from tests.reports.lifetime import cdnow

PUBLISHED: dict[ModelName, tuple[tuple[float, ...], float]] = {
    # Fader, Hardie and Lee (2005), Counting your customers the easy way, table 2: both models.
    "bg-nbd": ((0.243, 4.414, 0.793, 2.426), -9582.4),
    "pareto-nbd": ((0.553, 10.578, 0.606, 11.669), -9595.0),
    # Batislam, Denizel and Filiztekin (2007), for the same sample.
    "mbg-nbd": ((0.525, 6.183, 0.891, 1.614), -9582.1),
}
POOR_STARTS = (
    [1e-3, 1e-3, 1e-3, 1e-3],
    [1e3, 1e3, 1e3, 1e3],
    [100, 0.01, 100, 0.01],
    [0.01, 100, 0.01, 100],
    [1, 1, 1, 1],
)


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_cdnow_gives_the_published_estimates(name: ModelName) -> None:
    values, log_likelihood = PUBLISHED[name]
    fit = fit_purchases(name, cdnow.customers())
    assert fit.customers == 2357
    assert fit.log_likelihood == pytest.approx(log_likelihood, abs=0.05)
    assert fit.model.values() == pytest.approx(values, abs=6e-4, rel=1.5e-4)
    assert fit.notes == ()
    assert all(estimate.identified for estimate in fit.estimates)


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_poor_starts_end_at_the_same_estimates(name: ModelName) -> None:
    best = fit_purchases(name, cdnow.customers())
    for start in POOR_STARTS:
        fit = fit_purchases(name, cdnow.customers(), start=start)
        assert fit.log_likelihood == pytest.approx(best.log_likelihood, abs=1e-7)
        assert fit.model.values() == pytest.approx(best.model.values(), rel=1e-4)


def test_gamma_gamma_gives_the_published_estimates() -> None:
    # Fader and Hardie (2013), The Gamma-Gamma model of monetary value: p, q, gamma of CDNOW.
    fit = fit_spend(cdnow.spending())
    assert fit.customers == 946
    assert fit.model.values() == pytest.approx((6.25, 3.74, 15.44), abs=0.01)
    assert fit.model.mean() == pytest.approx(35.17, abs=0.05)
    for start in ([1e-2] * 3, [1e3] * 3, [100, 1.1, 1e-2]):
        again = fit_spend(cdnow.spending(), start=start)
        assert again.model.values() == pytest.approx(fit.model.values(), rel=1e-4)


def test_standard_errors_of_bg_nbd_are_those_of_another_library() -> None:
    # lifetimes 0.11.3, BetaGeoFitter().fit(...).summary["se(coef)"] on the same data.
    errors = {e.name: e.error for e in fit_purchases("bg-nbd", cdnow.customers()).estimates}
    assert errors == pytest.approx(LIFETIMES_ERRORS, rel=2e-3)


LIFETIMES_ERRORS = {"r": 0.012557, "alpha": 0.378221, "a": 0.185719, "b": 0.705345}


@pytest.mark.parametrize("name", list(MODELS))
def test_grouping_equal_histories_changes_nothing(name: ModelName) -> None:
    customers = cdnow.customers()[:300]
    point = np.array([0.5, 6.0, 0.7, 3.0])
    apart = Histories(
        customers.frequency,
        customers.recency,
        customers.age,
        np.ones(300),
        np.arange(300),
    )
    grouped, slopes = MODELS[name].objective(customers.histories)(point)
    each, each_slopes = MODELS[name].objective(apart)(point)
    assert len(customers.histories.age) < 250
    assert grouped == pytest.approx(each, rel=1e-13)
    assert slopes == pytest.approx(each_slopes, rel=1e-10)


@pytest.mark.parametrize("name", ["bg-nbd", "pareto-nbd"])
def test_many_customers_fit_as_few_of_equal_weight(name: ModelName) -> None:
    """Twelve copies of everybody: past the size at which the search begins on a sample."""
    few = cdnow.customers()
    many = Customers.of(*(np.tile(part, 12) for part in (few.frequency, few.recency, few.age)))
    one, twelve = fit_purchases(name, few), fit_purchases(name, many)
    assert twelve.model.values() == pytest.approx(one.model.values(), rel=1e-4)
    assert twelve.log_likelihood == pytest.approx(12 * one.log_likelihood, rel=1e-12)
    for before, after in zip(_errors(one), _errors(twelve), strict=True):
        assert after == pytest.approx(before / np.sqrt(12), rel=1e-3)


def _errors(fit: PurchaseFit) -> list[float]:
    return [estimate.error for estimate in fit.estimates]
