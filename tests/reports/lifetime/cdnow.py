"""The CDNOW sample that the papers use: 2,357 customers, weeks, from the package ``lifetimes``.

The package is not imported, only its data are read.
"""

from __future__ import annotations

import csv
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from penstock.reports.lifetime import Customers, FloatArray, Spending

WEEKS = 39.0
"""The calibration period, and the holdout after it."""
_END = "19970930"


@lru_cache
def customers() -> Customers:
    """Histories of the 39 weeks of calibration."""
    rows = _rows()
    return Customers.of(
        *(np.array([float(row[name]) for row in rows]) for name in ("x", "t_x", "T"))
    )


@lru_cache
def spending() -> Spending:
    """Repeat purchases and their average value."""
    rows = _rows()
    return Spending.of([float(row["x"]) for row in rows], [float(row["zbar"]) for row in rows])


@lru_cache
def later() -> FloatArray:
    """Each customer's days with a purchase in the 39 weeks of the holdout."""
    days: dict[int, set[str]] = {}
    for line in (_folder() / "CDNOW_sample.txt").read_text().splitlines():
        _, number, date, *_ = line.split()
        days.setdefault(int(number), set()).add(date)
    ordered = [days[number] for number in sorted(days)]
    seen = [sum(date <= _END for date in dates) for dates in ordered]
    assert (np.array(seen) == customers().frequency + 1).all()
    return np.array([len(dates) for dates in ordered], dtype=float) - seen


@lru_cache
def _rows() -> list[dict[str, str]]:
    with (_folder() / "cdnow_customers_summary_with_transactions.csv").open(newline="") as lines:
        return list(csv.DictReader(lines))


def _folder() -> Path:
    spec = find_spec("lifetimes")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "datasets"
