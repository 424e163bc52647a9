"""Forecasts against published figures, closed forms and customers drawn from the models."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

from penstock.errors import StatisticsError
from penstock.reports.lifetime import (
    MODELS,
    BgNbd,
    Customers,
    Discount,
    MbgNbd,
    ModelName,
    ParetoNbd,
    discounted_purchases,
    fit_purchases,
    fit_spend,
    forecast,
)
from tests.reports.lifetime import cdnow
from tests.reports.lifetime.drawn import draw

MODEL_DRAWN = (
    BgNbd(0.6, 8.0, 0.8, 2.5),
    MbgNbd(0.6, 8.0, 0.8, 2.5),
    ParetoNbd(0.6, 8.0, 0.7, 12.0),
)
every_drawn_model = pytest.mark.parametrize("model", MODEL_DRAWN, ids=lambda model: model.title)


def test_the_first_customer_of_cdnow_as_published() -> None:
    # Fader, Hardie and Lee (2005), Implementing the BG/NBD model in Microsoft Excel: x = 2,
    # t_x = 30.43, T = 38.86, t = 39 gives 1.226.
    model = BgNbd(0.243, 4.414, 0.793, 2.426)
    customer = Customers.of([2], [30.43], [38.86])
    found = forecast(model, customer, np.ones(1), horizon=39, discount=Discount())
    assert found.purchases[0] == pytest.approx(1.226, abs=5e-4)


@every_drawn_model
def test_without_discount_the_integral_is_the_closed_form(
    model: BgNbd | MbgNbd | ParetoNbd,
) -> None:
    customers = draw(model, 300, np.random.default_rng(1), age=(5, 60), horizon=0).customers
    histories = customers.histories
    for horizon in (0.01, 1.0, 52.0, 5200.0):
        closed = model.alive(histories)
        closed = closed * model.purchases_if_alive(histories.frequency, histories.age, horizon)
        summed = discounted_purchases(model, histories, horizon, 0.0)
        assert summed == pytest.approx(closed, rel=1e-10)


@pytest.mark.parametrize("s", [0.606, 1.0, 2.4])
def test_all_of_the_future_of_pareto_nbd_is_its_closed_form(s: float) -> None:
    # Fader, Hardie and Lee (2005), RFM and CLV, equation 2: with Tricomi's function.
    model = ParetoNbd(0.553, 10.578, s, 11.669)
    force = Discount(0.15, days_per_year=364, days_per_unit=7).force
    assert force == pytest.approx(math.log(1.15) / 52)
    customers = Customers.of([0, 1, 7, 40], [0, 3.0, 35.0, 70.0], [20.0, 38.86, 38.86, 77.86])
    histories = customers.histories
    found = discounted_purchases(model, histories, math.inf, force)
    for row, value in enumerate(found):
        x, age = int(histories.frequency[row]), float(histories.age[row])
        with mpmath.workdps(30):
            tricomi = mpmath.hyperu(s, s, force * (model.beta + age))
            rate = (model.r + x) / (model.alpha + age)
            exact = rate * force ** (s - 1) * (model.beta + age) ** s * tricomi
        alive = float(model.alive(histories)[row])
        assert value == pytest.approx(alive * float(exact), rel=1e-9)


@every_drawn_model
def test_forecasts_come_true_for_customers_drawn_from_the_model(
    model: BgNbd | MbgNbd | ParetoNbd,
) -> None:
    """Sums over groups lie within four standard errors of what was forecast."""
    drawn = draw(model, 60_000, np.random.default_rng(3), age=(10, 60), horizon=40.0)
    histories = drawn.customers.histories
    alive = model.alive(histories)
    later = alive * model.purchases_if_alive(histories.frequency, histories.age, 40.0)
    for group in (0, 1, 2, 5):
        rows = drawn.customers.frequency >= group
        for told, true in ((alive, drawn.alive), (later, drawn.later)):
            surprise = true[rows] - told[histories.position][rows]
            error = surprise.std() / np.sqrt(rows.sum())
            assert abs(surprise.mean()) < 4 * error + 1e-12, (group, surprise.mean(), error)


@every_drawn_model
def test_counts_of_new_customers_come_true(model: BgNbd | MbgNbd | ParetoNbd) -> None:
    drawn = draw(model, 40_000, np.random.default_rng(4), age=(30, 30 + 1e-9), horizon=0)
    age = np.array([30.0])
    chances = model.chances_by(6, age)[0]
    seen = np.bincount(drawn.customers.frequency, minlength=7)[:7] / 40_000
    assert np.abs(seen - chances).max() < 4 * np.sqrt(chances * (1 - chances) / 40_000).max()
    mean = float(model.purchases_by(age)[0])
    assert drawn.customers.frequency.mean() == pytest.approx(mean, rel=0.03)
    many = model.chances_by(2000, age)[0]
    assert many.sum() == pytest.approx(1, abs=1e-9)
    assert many @ np.arange(2001) == pytest.approx(mean, rel=1e-6)


def test_pareto_nbd_has_an_answer_at_s_of_1() -> None:
    at, near = (ParetoNbd(0.5, 10, s, 12) for s in (1.0, 1 + 1e-7))
    x, age = np.array([3]), np.array([20.0])
    found = at.purchases_if_alive(x, age, 30.0)
    assert found == pytest.approx(near.purchases_if_alive(x, age, 30.0), rel=1e-6)


def test_value_is_discounted_purchases_times_what_an_order_is_worth() -> None:
    customers = cdnow.customers()
    model = fit_purchases("bg-nbd", customers).model
    worth = fit_spend(cdnow.spending()).model.expected(cdnow.spending())
    found = forecast(model, customers, worth, horizon=52, discount=Discount(0.1, days_per_unit=7))
    assert (found.value == found.discounted_purchases * worth).all()
    assert (found.revenue == found.purchases * worth).all()
    assert (found.value < found.revenue).all()
    assert (found.value > found.revenue / 1.11).all()  # within a year, at 10 % a year
    longer = forecast(
        model, customers, worth, horizon=52, discount=Discount(0.1, days_per_unit=7),
        value_horizon=math.inf,
    )  # fmt: skip
    assert (longer.value > found.value).all()
    assert (longer.purchases == found.purchases).all()
    free = forecast(model, customers, worth, horizon=52, discount=Discount(0.0))
    assert free.value == pytest.approx(free.revenue, rel=1e-10)


@pytest.mark.parametrize("name", list(MODELS))
def test_customers_keep_their_order(name: ModelName) -> None:
    customers = cdnow.customers()[:50]
    model = fit_purchases(name, cdnow.customers()).model
    together = forecast(model, customers, np.ones(50), horizon=10, discount=Discount())
    for row in (0, 7, 49):
        alone = forecast(
            model, customers[row : row + 1], np.ones(1), horizon=10, discount=Discount()
        )
        assert alone.purchases[0] == pytest.approx(together.purchases[row], rel=1e-12)
        assert alone.alive[0] == pytest.approx(together.alive[row], rel=1e-12)
        assert alone.value[0] == pytest.approx(together.value[row], rel=1e-12)


def test_horizons_and_rates_without_an_answer_are_refused() -> None:
    model, customers = BgNbd(0.5, 10, 1, 3), Customers.of([1], [2], [3])
    with pytest.raises(StatisticsError, match="horizon is a time above 0"):
        forecast(model, customers, np.ones(1), horizon=0, discount=Discount())
    with pytest.raises(StatisticsError, match="needs a discount rate above 0"):
        forecast(
            model, customers, np.ones(1), horizon=1, discount=Discount(0.0), value_horizon=math.inf
        )
    with pytest.raises(StatisticsError, match=r"0\.1 for 10 %, not -0\.1"):
        Discount(-0.1)
    with pytest.raises(StatisticsError, match="1 customers need 1 order values, not 2"):
        forecast(model, customers, np.ones(2), horizon=1, discount=Discount())
