"""The tables that show whether to trust a fit, and the ranking."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from penstock.errors import StatisticsError
from penstock.reports.lifetime import (
    BgNbd,
    Customers,
    calibration,
    cumulative_purchases,
    deciles,
    fit_purchases,
    holdout,
    ranks,
)
from tests.reports.lifetime import cdnow


def test_the_calibration_table_follows_what_was_seen() -> None:
    rows = calibration(fit_purchases("bg-nbd", cdnow.customers()).model, cdnow.customers())
    assert [row.observed for row in rows] == [1411, 439, 214, 100, 62, 38, 29, 64]
    assert sum(row.expected for row in rows) == pytest.approx(2357)
    for row in rows:
        assert row.expected == pytest.approx(row.observed, abs=3 * np.sqrt(row.observed))
    assert [row.or_more for row in rows] == [False] * 7 + [True]


def test_the_holdout_is_near_what_came_true() -> None:
    customers, later = cdnow.customers(), cdnow.later()
    model = fit_purchases("bg-nbd", customers).model
    rows = holdout(model, customers, later, horizon=cdnow.WEEKS)
    assert sum(row.customers for row in rows) == 2357
    assert later.sum() == sum(row.actual * row.customers for row in rows)
    told = sum(row.expected * row.customers for row in rows)
    assert told == pytest.approx(later.sum(), rel=0.13)
    assert [row.expected for row in rows] == sorted(row.expected for row in rows)
    for row in rows[:4]:
        assert row.expected == pytest.approx(row.actual, rel=0.3)


def test_cumulative_purchases_go_from_0_through_what_was_seen() -> None:
    customers = cdnow.customers()
    model = fit_purchases("bg-nbd", customers).model
    told = cumulative_purchases(model, customers, [-40, -20, 0, 20, 39])
    assert told[0] == 0
    assert (np.diff(told) > 0).all()
    assert told[2] == pytest.approx(customers.frequency.sum(), rel=0.03)
    seen = customers.frequency.sum() + cdnow.later().sum()
    assert told[4] == pytest.approx(seen, rel=0.045)
    pareto = fit_purchases("pareto-nbd", customers).model
    assert cumulative_purchases(pareto, customers, 39.0) == pytest.approx(seen, rel=0.02)


def test_rows_without_customers_are_left_out_and_wrong_lengths_refused() -> None:
    model, customers = BgNbd(0.5, 10, 1, 3), Customers.of([0, 3, 9], [0, 2, 2], [3, 3, 3])
    rows = holdout(model, customers, [0, 1, 4], horizon=5, most=7)
    assert [(row.purchases, row.or_more) for row in rows] == [(0, False), (3, False), (7, True)]
    with pytest.raises(StatisticsError, match="3 customers need as many later counts"):
        holdout(model, customers, [0, 1], horizon=5)
    with pytest.raises(StatisticsError, match="1 purchase or more"):
        calibration(model, customers, most=0)


def test_ranks_keep_the_order_of_equals() -> None:
    assert ranks(np.array([2.0, 5.0, 2.0, 9.0])).tolist() == [3, 2, 4, 1]
    assert ranks(np.array([])).tolist() == []


def test_deciles_hold_everybody_once() -> None:
    rng = np.random.default_rng(0)
    predicted, actual = rng.gamma(1, 10, 103), rng.gamma(1, 10, 103)
    groups = deciles(predicted, actual)
    assert [group.group for group in groups] == list(range(1, 11))
    assert {group.customers for group in groups} == {10, 11}
    assert sum(group.customers for group in groups) == 103
    assert sum(group.predicted for group in groups) == pytest.approx(predicted.sum())
    assert sum(group.share for group in groups) == pytest.approx(1)
    assert sum(group.actual or 0 for group in groups) == pytest.approx(actual.sum())
    for above, below in pairwise(groups):
        assert above.lowest >= below.highest


def test_deciles_of_few_and_of_nobody() -> None:
    assert [group.customers for group in deciles(np.array([1.0, 2.0]))] == [1, 1]
    assert deciles(np.array([])) == ()
    assert deciles(np.zeros(4), groups=2)[0].share == 0
    with pytest.raises(StatisticsError):
        deciles(np.ones(3), groups=0)
    with pytest.raises(StatisticsError):
        deciles(np.ones(3), np.ones(2))
