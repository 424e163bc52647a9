"""Data that can't carry a model: an answer in plain words, never a wrong figure or a traceback."""

from __future__ import annotations

import numpy as np
import pytest

from penstock.errors import StatisticsError
from penstock.reports.lifetime import (
    MODELS,
    Customers,
    GammaGamma,
    ModelName,
    Spending,
    fit_purchases,
    fit_spend,
)

every_model = pytest.mark.parametrize("name", list(MODELS))


@every_model
def test_only_one_time_buyers(name: ModelName) -> None:
    customers = Customers.of(np.zeros(100), np.zeros(100), np.arange(100))
    with pytest.raises(StatisticsError, match="none of the 100 customers bought twice"):
        fit_purchases(name, customers)


@every_model
def test_one_customer(name: ModelName) -> None:
    with pytest.raises(StatisticsError, match="needs 5 customers or more to be fitted, not 1"):
        fit_purchases(name, Customers.of([3], [30], [60]))


@every_model
def test_everybody_came_today(name: ModelName) -> None:
    with pytest.raises(StatisticsError, match="--as-of"):
        fit_purchases(name, Customers.of(np.ones(9), np.zeros(9), np.zeros(9)))


@every_model
def test_customers_all_alike_are_answered_with_a_warning(name: ModelName) -> None:
    customers = Customers.of(np.full(50, 4), np.full(50, 80.0), np.full(50, 100.0))
    fit = fit_purchases(name, customers)
    assert "don't differ in how often they buy" in fit.notes[0]
    unknown = [estimate for estimate in fit.estimates if not estimate.identified]
    assert unknown
    assert all(estimate.error == float("inf") and estimate.low == 0 for estimate in unknown)
    rates = fit.model.purchases_if_alive(np.array([4]), np.array([100.0]), 25.0)
    assert 0.5 < float(rates[0]) < 2  # four in eighty or a hundred days: about one in 25


@every_model
@pytest.mark.parametrize("start", [[1, 1, 1], [1, 1, 1, 0], [1, 1, 1, float("nan")]])
def test_a_start_that_is_none(name: ModelName, start: list[float]) -> None:
    with pytest.raises(StatisticsError, match="one number above 0 for each of"):
        fit_purchases(name, Customers.of(np.ones(9), np.ones(9), np.full(9, 9.0)), start=start)


def test_negative_refunds_are_refused_and_say_what_to_do() -> None:
    with pytest.raises(StatisticsError, match=r"2 customers have a negative.*row 1.*refund"):
        Spending.of([1, 2, 3], [10.0, -5.0, -1.0])


def test_customers_who_paid_nothing_are_left_out_and_counted() -> None:
    rng = np.random.default_rng(2)
    orders, paid = rng.integers(1, 6, 400), rng.gamma(5, 4, 400)
    fit = fit_spend(Spending.of(orders, paid))
    with_free = fit_spend(Spending.of(np.append(orders, [2, 3]), np.append(paid, [0.0, 0.0])))
    assert with_free.model == fit.model
    assert with_free.customers == 400
    assert with_free.notes[-1] == "2 customers whose orders were all free are left out of the fit"
    value = with_free.model.expected(Spending.of([2], [0.0]))
    assert 0 < value[0] < fit.model.mean()


def test_nobody_paid() -> None:
    with pytest.raises(StatisticsError, match="4 customers or more who paid for an order, not 0"):
        fit_spend(Spending.of(np.ones(9), np.zeros(9)))


def test_one_order_each_can_not_tell_spending_apart() -> None:
    with pytest.raises(StatisticsError, match="plain average order value"):
        fit_spend(Spending.of(np.ones(9), np.arange(1.0, 10.0)))


def test_everybody_pays_the_same() -> None:
    fit = fit_spend(Spending.of(np.full(40, 3), np.full(40, 20.0)))
    assert "don't tell" in fit.notes[0]
    assert fit.model.expected(Spending.of([3], [20.0]))[0] == pytest.approx(20, rel=0.01)


def test_an_infinite_mean_is_said_not_returned() -> None:
    model = GammaGamma(p=2.0, q=0.9, gamma=10.0)
    assert model.mean() == float("inf")
    assert model.expected(Spending.of([1], [20.0]))[0] == pytest.approx(2 * 30 / 1.9)
    with pytest.raises(StatisticsError, match=r"q = 0\.9 is not above 1"):
        model.expected(Spending.of([1, 0], [20.0, 0.0]))


def test_a_missing_average_is_refused() -> None:
    with pytest.raises(StatisticsError, match="needs an average value"):
        Spending.of([2, 1], [float("nan"), 3.0])
    assert Spending.of([0, 1], [float("nan"), 3.0]).average.tolist() == [0.0, 3.0]
