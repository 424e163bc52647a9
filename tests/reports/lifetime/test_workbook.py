"""The workbook, calculated by LibreOffice from its formulas alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.reports.lifetime import BgNbd, Sheet, SheetCustomer, fill_sheet, sheet_workbook
from tests.reports.libreoffice import recalculated
from tests.reports.lifetime import guide

FIRST = 9
"""The first customer's row, from 0."""


def _number(cell: str) -> float | None:
    return float(cell) if cell else None


def _check(sheet: Sheet, folder: Path) -> None:
    pages = recalculated(sheet_workbook(sheet), folder)
    parameters, page = pages["Parameters"], pages["Forecast"]
    assert float(parameters[4][1]) == pytest.approx(sheet.log_likelihood, rel=1e-12)
    order = sorted((cells.lifetime_value for cells in sheet.forecasts), reverse=True)
    for row, (customer, cells, told) in enumerate(
        zip(sheet.customers, sheet.likelihoods, sheet.forecasts, strict=True), start=FIRST
    ):
        assert parameters[row][0] == page[row][0] == customer.customer
        expected = (cells.ln, cells.ln_a1, cells.ln_a2, cells.ln_a3, cells.ln_a4, cells.x)
        for found, value in zip(map(_number, parameters[row][5:11]), expected, strict=True):
            assert (found is None) == (value is None)
            assert value is None or found == pytest.approx(value, rel=1e-9, abs=1e-9)
        forecast = (
            told.lifetime_value, told.revenue, told.purchases, told.bracket, told.power,
            told.denominator, told.z, told.two_f_one,
        )  # fmt: skip
        assert [float(cell) for cell in page[row][5:13]] == pytest.approx(forecast, rel=1e-7)
        assert float(page[row][13]) == pytest.approx(told.last_term, rel=1e-6)
        assert int(page[row][14]) == order.index(told.lifetime_value) + 1


def test_the_guides_sheet(tmp_path: Path) -> None:
    sheet = fill_sheet(guide.CUSTOMERS)
    assert sheet.log_likelihood == pytest.approx(-504.11, abs=5e-3)
    _check(sheet, tmp_path)


def test_as_the_model_means_it_with_one_time_buyers(tmp_path: Path) -> None:
    customers = (*guide.CUSTOMERS, SheetCustomer("=1+1", 1, 30, 30, 12.5))
    _check(fill_sheet(customers, BgNbd(0.4, 20.0, 0.3, 0.6), as_model=True, terms=200), tmp_path)
