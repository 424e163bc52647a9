"""The guides' spreadsheet, cell by cell, and its departures from the model."""

from __future__ import annotations

import math

import numpy as np
import pytest

from penstock.errors import StatisticsError
from penstock.reports.lifetime import (
    PRINTED,
    Annuity,
    BgNbd,
    SheetCustomer,
    fill_sheet,
    fit_purchases,
    sheet_customers,
)
from tests.reports.lifetime import guide


def test_every_cell_of_the_first_sheet() -> None:
    sheet = fill_sheet(guide.CUSTOMERS)
    for cells, shown in zip(sheet.likelihoods, guide.CELLS, strict=True):
        assert cells.ln_a4 is not None
        found = (cells.ln, cells.ln_a1, cells.ln_a2, cells.ln_a3, cells.ln_a4)
        assert [f"{value + 0:.2f}".replace("-0.00", "0.00") for value in found] == [
            f"{value:.2f}" for value in shown
        ]
    assert sheet.log_likelihood == pytest.approx(-504.1143, abs=5e-5)


def test_the_forecasts_of_the_second_sheet() -> None:
    sheet = fill_sheet(guide.CUSTOMERS)
    for cells, row, (purchases, revenue) in zip(
        sheet.forecasts, guide.CUSTOMERS, guide.FORECASTS, strict=True
    ):
        assert cells.purchases == pytest.approx(purchases, abs=5.1e-4)
        # The sheet's averages are the query's, rounded (sheila's is retyped: 15.45 for 15.44).
        assert cells.revenue == pytest.approx(revenue, rel=1e-3)
        assert cells.revenue == cells.purchases * row.average
        assert cells.exact == pytest.approx(cells.purchases, rel=1e-12)
        assert cells.z == pytest.approx(181 / (1778.373 + row.days_since_first + 181))
    best = max(sheet.forecasts, key=lambda cells: cells.revenue)
    assert sheet.customers[sheet.forecasts.index(best)].customer == "erin@comist.com"
    assert sheet.forecasts[0].purchases == max(cells.purchases for cells in sheet.forecasts)


def test_the_annuity_is_the_sum_of_discounted_periods() -> None:
    annuity = Annuity(annual_rate=0.10, periods=3)
    rate = 1.1 ** (181 / 365) - 1
    assert annuity.rate(181) == pytest.approx(rate)
    assert annuity.factor(181) == pytest.approx(sum((1 + rate) ** -n for n in (1, 2, 3)))
    assert Annuity(annual_rate=0, periods=4).factor(181) == 4
    sheet = fill_sheet(guide.CUSTOMERS, annuity=annuity)
    for cells in sheet.forecasts:
        assert cells.lifetime_value == pytest.approx(cells.revenue * annuity.factor(181))


def test_printed_parameters_are_no_maximum_of_the_sheets_own_likelihood() -> None:
    printed = fill_sheet(guide.CUSTOMERS).log_likelihood
    fit = fit_purchases("bg-nbd", sheet_customers(guide.CUSTOMERS))
    assert fit.log_likelihood == pytest.approx(-162.5, abs=0.1)
    assert fit.log_likelihood > printed + 300
    assert "a and b may be any greater numbers" in fit.notes[0]
    mended = fit_purchases("bg-nbd", sheet_customers(guide.CUSTOMERS, as_model=True))
    assert mended.log_likelihood == pytest.approx(-384.1, abs=0.1)
    assert "a and b may be any greater numbers" in mended.notes[0]


def test_b_is_not_told_by_these_customers() -> None:
    low, high = (
        fill_sheet(guide.CUSTOMERS, BgNbd(PRINTED.r, PRINTED.alpha, PRINTED.a, b)).log_likelihood
        for b in (0.5, 50.0)
    )
    assert (low, high) == pytest.approx((-504.11432, -504.11429), abs=6e-6)


def test_as_the_model_means_it() -> None:
    """Recency is first to last, frequency counts repeats: the same likelihood as the fitter's."""
    model = BgNbd(0.4, 20.0, 0.6, 3.0)
    sheet = fill_sheet(guide.CUSTOMERS, model, as_model=True)
    histories = sheet_customers(guide.CUSTOMERS, as_model=True).histories
    whole, _ = BgNbd.objective(histories)(np.array(model.values()))
    assert sheet.log_likelihood == pytest.approx(whole, rel=1e-12)
    assert sheet.likelihoods[0].x == 20
    assert sheet.likelihoods[0].t_x == 146


def test_a_single_purchase_as_the_model_means_it_has_no_fourth_term() -> None:
    once = SheetCustomer("once", 1, 30, 30, 10.0)
    cells = fill_sheet([once], BgNbd(0.4, 20.0, 0.6, 3.0), as_model=True)
    assert cells.likelihoods[0].ln_a4 is None
    assert cells.likelihoods[0].ln == pytest.approx(0.4 * math.log(20 / 50))
    assert cells.forecasts[0].denominator == 1


def test_fifty_terms_are_cut_off_where_the_exact_figure_is_not() -> None:
    customer = [SheetCustomer("new", 3, 2, 5, 10.0)]
    model = BgNbd(0.4, 5.0, 0.6, 3.0)
    cut = fill_sheet(customer, model, total_days=365).forecasts[0]
    more = fill_sheet(customer, model, total_days=365, terms=5000).forecasts[0]
    assert cut.purchases != pytest.approx(cut.exact, rel=0.01)
    assert more.purchases == pytest.approx(cut.exact, rel=1e-10)


def test_what_the_sheet_can_not_hold_is_refused() -> None:
    with pytest.raises(StatisticsError, match="recency outside"):
        fill_sheet([SheetCustomer("late", 2, 50, 40, 1.0)])
    with pytest.raises(StatisticsError, match="divides by a - 1"):
        fill_sheet(guide.CUSTOMERS, BgNbd(1, 1, 1, 1))
    with pytest.raises(StatisticsError, match="needs a customer"):
        fill_sheet([])
