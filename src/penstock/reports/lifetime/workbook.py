"""The guides' spreadsheet as an XLSX file with live formulas, ready for Solver."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from penstock.reports.lifetime.sheet import Sheet

__all__ = ["sheet_workbook"]

FIRST_ROW = 10
"""As in the guides: headings in row 9, the first customer in row 10."""

_PARAMETER_HEADINGS = (
    "customer_id",
    "# of purchases",
    "days since last transaction",
    "Time since your first purchase",
    "average transaction size ($)",
    "ln(.)",
    "ln(A_1)",
    "ln(A_2)",
    "ln(A_3)",
    "ln(A_4)",
    "x used",
    "t_x used",
)
_FORECAST_HEADINGS = (
    "customer_id",
    "x",
    "t_x",
    "T",
    "average transaction size ($)",
    "LTV",
    "expected revenue, next period",
    "expected purchases, next period",
    "(a+b+x-1)/(a-1)",
    "((alpha+T)/(alpha+T+t))^(r+x)",
    "1 / P(alive)",
    "z",
    "2F1",
    "last term of 2F1 / 2F1",
    "rank",
)
_ABOUT = (
    "Estimate the parameters",
    "1. Paste your customers into the blue cells of sheet Parameters, from row 10, and the total "
    "time in days into B6; copy columns F to L down to the last row, and rows of Forecast too.",
    "2. Data > Solver: set objective $B$5, to Max, by changing $B$1:$B$4, subject to "
    "$B$1:$B$4 >= 0.00001, GRG Nonlinear. (LibreOffice: Tools > Solver, with the option of a "
    "non-linear engine.)",
    "3. Read sheet Forecast: column F is the lifetime value, column O the rank.",
    "Where this sheet departs from the BG/NBD model",
    "t_x is taken as the days since the last order; the model means the time from first to last "
    "order. x counts all orders; the model means repeat orders. Set Parameters!B7 to 0 to "
    "calculate as the model means it, then run Solver again.",
    "T is cut at the window of the query; customers who first bought before it look newer than "
    "they are.",
    "2F1 is summed to the terms of sheet Terms. Column N of Forecast shows the last of them: when "
    "it is above 1E-12, extend Terms, or take the figures of penstock report ltv.",
    "A handful of chosen customers can't tell four parameters: take all buyers.",
)


def sheet_workbook(sheet: Sheet) -> bytes:
    """Write the sheets with formulas, and with their values for readers that don't calculate."""
    from xlsxwriter import Workbook

    target = BytesIO()
    with Workbook(target, {"in_memory": True}) as book:
        formats = {
            "blue": book.add_format({"font_color": "#0000FF"}),
            "head": book.add_format({"bold": True, "text_wrap": True, "valign": "top"}),
            "two": book.add_format({"num_format": "0.00"}),
            "three": book.add_format({"num_format": "0.000"}),
            "six": book.add_format({"num_format": "0.000000", "font_color": "#0000FF"}),
            "small": book.add_format({"num_format": "0.0E+00"}),
            "wrap": book.add_format({"text_wrap": True, "valign": "top"}),
        }
        _parameters(book.add_worksheet("Parameters"), sheet, formats)
        _forecast(book.add_worksheet("Forecast"), sheet, formats)
        terms = book.add_worksheet("Terms")
        terms.write_column("A1", range(1, sheet.terms))
        about = book.add_worksheet("About")
        about.set_column("A:A", 110)
        about.write_column("A1", _ABOUT, formats["wrap"])
    return target.getvalue()


def _parameters(page: Any, sheet: Sheet, formats: dict[str, Any]) -> None:
    last = FIRST_ROW + len(sheet.customers) - 1
    page.set_column("A:A", 38)
    page.set_column("B:L", 14)
    named = zip(("r", "alpha", "a", "b"), sheet.parameters.values(), strict=True)
    for row, (name, value) in enumerate(named):
        page.write(row, 0, name)
        page.write(row, 1, value, formats["six"])
    page.write("A5", "log likelihood")
    page.write_formula("B5", f"=SUM(F{FIRST_ROW}:F{last})", formats["two"], sheet.log_likelihood)
    page.write("A6", "total time (days)")
    page.write("B6", sheet.total_days, formats["blue"])
    page.write("A7", "as in the guide: 1, as in the model: 0")
    page.write("B7", 0 if sheet.as_model else 1, formats["blue"])
    page.write_row("A9", _PARAMETER_HEADINGS, formats["head"])
    page.set_row(FIRST_ROW - 2, 48)
    page.freeze_panes(FIRST_ROW - 1, 1)
    for row, (customer, cells) in enumerate(
        zip(sheet.customers, sheet.likelihoods, strict=True), start=FIRST_ROW
    ):
        page.write_string(f"A{row}", customer.customer, formats["blue"])
        pasted = (
            customer.purchases,
            customer.days_since_last,
            customer.days_since_first,
            customer.average,
        )
        page.write_row(f"B{row}", pasted, formats["blue"])
        last_ln = "" if cells.ln_a4 is None else cells.ln_a4
        values = (cells.ln, cells.ln_a1, cells.ln_a2, cells.ln_a3, last_ln, cells.x, cells.t_x)
        for (column, formula), shown in zip(_likelihood_formulas(row), values, strict=True):
            page.write_formula(f"{column}{row}", formula, formats["two"], shown)


def _likelihood_formulas(n: int) -> tuple[tuple[str, str], ...]:
    """LN(EXP(I) + EXP(J)) is written with the greater taken out, as EXP(-750) is 0 in a cell."""
    return (
        (
            "F",
            f"=G{n}+H{n}+IF(K{n}>0,MAX(I{n},J{n})+LN(1+EXP(-ABS(I{n}-J{n}))),I{n})",
        ),
        ("G", f"=GAMMALN($B$1+K{n})-GAMMALN($B$1)+$B$1*LN($B$2)"),
        (
            "H",
            f"=GAMMALN($B$3+$B$4)+GAMMALN($B$4+K{n})-GAMMALN($B$4)-GAMMALN($B$3+$B$4+K{n})",
        ),
        ("I", f"=-($B$1+K{n})*LN($B$2+D{n})"),
        ("J", f'=IF(K{n}>0,LN($B$3)-LN($B$4+K{n}-1)-($B$1+K{n})*LN($B$2+L{n}),"")'),
        ("K", f"=B{n}-1+$B$7"),
        ("L", f"=IF($B$7=1,C{n},D{n}-C{n})"),
    )


def _forecast(page: Any, sheet: Sheet, formats: dict[str, Any]) -> None:
    last = FIRST_ROW + len(sheet.customers) - 1
    annuity, days = sheet.annuity, sheet.total_days
    page.set_column("A:A", 38)
    page.set_column("B:O", 14)
    page.write_column(
        "A1",
        ("next period (days)", "discount rate a year", "periods of the annuity", "days a year"),
    )
    page.write_formula("B1", "=Parameters!B6", None, days)
    page.write_column(
        "B2", (annuity.annual_rate, annuity.periods, annuity.days_per_year), formats["blue"]
    )
    page.write_column("A5", ("discount rate a period", "annuity factor"))
    page.write_formula("B5", "=(1+B2)^(B1/B4)-1", formats["three"], annuity.rate(days))
    factor = annuity.factor(days)
    page.write_formula("B6", "=IF(B5=0,B3,(1-(1+B5)^-B3)/B5)", formats["three"], factor)
    page.write_row("A9", _FORECAST_HEADINGS, formats["head"])
    page.set_row(FIRST_ROW - 2, 48)
    page.freeze_panes(FIRST_ROW - 1, 1)
    order = sorted((cells.lifetime_value for cells in sheet.forecasts), reverse=True)
    for row, (customer, used, cells) in enumerate(
        zip(sheet.customers, sheet.likelihoods, sheet.forecasts, strict=True), start=FIRST_ROW
    ):
        page.write_formula(f"A{row}", f"=Parameters!A{row}", None, customer.customer)
        pasted = (used.x, used.t_x, customer.days_since_first, customer.average)
        values = (
            cells.lifetime_value,
            cells.revenue,
            cells.purchases,
            cells.bracket,
            cells.power,
            cells.denominator,
            cells.z,
            cells.two_f_one,
        )
        for (column, formula), value in zip(_pasted_formulas(row), pasted, strict=True):
            page.write_formula(f"{column}{row}", formula, None, value)
        for (column, formula), value in zip(
            _forecast_formulas(row, sheet.terms - 1), values, strict=True
        ):
            page.write_formula(f"{column}{row}", formula, formats["three"], value)
        last_term = _last_term(row, sheet.terms - 1)
        page.write_formula(f"N{row}", last_term, formats["small"], cells.last_term)
        rank = order.index(cells.lifetime_value) + 1
        page.write_formula(f"O{row}", f"=RANK(F{row},F${FIRST_ROW}:F${last})", None, rank)


def _pasted_formulas(n: int) -> tuple[tuple[str, str], ...]:
    columns = (("B", "K"), ("C", "L"), ("D", "D"), ("E", "E"))
    return tuple((here, f"=Parameters!{there}{n}") for here, there in columns)


def _forecast_formulas(n: int, terms: int) -> tuple[tuple[str, str], ...]:
    r, alpha, a, b = (f"Parameters!$B${row}" for row in (1, 2, 3, 4))
    return (
        ("F", f"=G{n}*$B$6"),
        ("G", f"=H{n}*E{n}"),
        ("H", f"=I{n}*(1-J{n}*M{n})/K{n}"),
        ("I", f"=({a}+{b}+B{n}-1)/({a}-1)"),
        ("J", f"=(({alpha}+D{n})/({alpha}+D{n}+$B$1))^({r}+B{n})"),
        (
            "K",
            f"=1+IF(B{n}>0,{a}/({b}+B{n}-1)*(({alpha}+D{n})/({alpha}+C{n}))^({r}+B{n}),0)",
        ),
        ("L", f"=$B$1/({alpha}+D{n}+$B$1)"),
        ("M", f"=1+SUMPRODUCT({_term(n, f'Terms!$A$1:$A${terms}')})"),
    )


def _last_term(n: int, terms: int) -> str:
    return f"={_term(n, f'Terms!$A${terms}')}/M{n}"


def _term(n: int, index: str) -> str:
    """The terms of 2F1(r+x, b+x; a+b+x-1; z) but the first; c is taken out, it may be below 0."""
    r, a, b = (f"Parameters!$B${row}" for row in (1, 3, 4))
    c = f"({a}+{b}+B{n}-1)"
    return (
        f"EXP(GAMMALN({r}+B{n}+{index})-GAMMALN({r}+B{n})"
        f"+GAMMALN({b}+B{n}+{index})-GAMMALN({b}+B{n})"
        f"-GAMMALN({c}+{index})+GAMMALN({c}+1)-GAMMALN({index}+1)"
        f"+{index}*LN(L{n}))/{c}"
    )
