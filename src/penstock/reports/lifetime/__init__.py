"""Lifetime value: who still buys, how often they will come back, and what that is worth today.

Arrays in, typed results out; nothing here reads or writes. A report goes through these in order:
``Customers.of`` checks the histories, ``fit_purchases`` and ``fit_spend`` estimate, ``forecast``
gives the figures of each customer, ``ranks`` and ``deciles`` order them, ``calibration``,
``holdout`` and ``cumulative_purchases`` tell whether to trust them. ``fill_sheet`` and
``sheet_workbook`` are the guides' spreadsheet.
"""

from __future__ import annotations

from penstock.reports.lifetime.beta_geometric import BgNbd, MbgNbd
from penstock.reports.lifetime.customers import Customers, FloatArray, Histories, IntArray
from penstock.reports.lifetime.fitting import (
    MODELS,
    Estimate,
    ModelName,
    PurchaseFit,
    SpendFit,
    fit_purchases,
    fit_spend,
)
from penstock.reports.lifetime.forecast import (
    Discount,
    Forecast,
    discounted_purchases,
    forecast,
)
from penstock.reports.lifetime.holdout import (
    CalibrationRow,
    HoldoutRow,
    calibration,
    cumulative_purchases,
    holdout,
)
from penstock.reports.lifetime.model import PurchaseModel
from penstock.reports.lifetime.pareto import ParetoNbd
from penstock.reports.lifetime.ranking import Decile, deciles, ranks
from penstock.reports.lifetime.sheet import (
    PRINTED,
    Annuity,
    Sheet,
    SheetCustomer,
    SheetForecast,
    SheetLikelihood,
    fill_sheet,
    sheet_customers,
)
from penstock.reports.lifetime.spend import GammaGamma, Spending
from penstock.reports.lifetime.workbook import sheet_workbook

__all__ = [
    "MODELS",
    "PRINTED",
    "Annuity",
    "BgNbd",
    "CalibrationRow",
    "Customers",
    "Decile",
    "Discount",
    "Estimate",
    "FloatArray",
    "Forecast",
    "GammaGamma",
    "Histories",
    "HoldoutRow",
    "IntArray",
    "MbgNbd",
    "ModelName",
    "ParetoNbd",
    "PurchaseFit",
    "PurchaseModel",
    "Sheet",
    "SheetCustomer",
    "SheetForecast",
    "SheetLikelihood",
    "SpendFit",
    "Spending",
    "calibration",
    "cumulative_purchases",
    "deciles",
    "discounted_purchases",
    "fill_sheet",
    "fit_purchases",
    "fit_spend",
    "forecast",
    "holdout",
    "ranks",
    "sheet_customers",
    "sheet_workbook",
]
