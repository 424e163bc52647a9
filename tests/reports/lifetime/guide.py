"""The twelve customers of the guides' sheet, and what its cells show."""

from __future__ import annotations

from penstock.reports.lifetime import SheetCustomer

CUSTOMERS = tuple(
    SheetCustomer(*row)
    for row in (
        ("beastlee@gmail.com", 21, 1, 147, 33.82),
        ("lisa.d@uninix.com", 16, 2, 129, 15.24),
        ("sherri@uberise.com", 13, 11, 170, 26.48),
        ("erin@comist.com", 10, 21, 142, 47.63),
        ("ramona@susose.io", 7, 49, 177, 23.61),
        ("eva@calcise.co", 7, 18, 146, 26.10),
        ("dinnernugget@gmail.com", 7, 84, 180, 16.53),
        ("sheila.soto@twimbo.com", 7, 4, 169, 15.45),
        ("carolyn.g@supraijo.com", 6, 154, 171, 36.16),
        ("horace@conible.co.uk", 6, 70, 167, 19.16),
        ("erin@wilderson.com", 6, 44, 150, 21.79),
        ("b@yakimbee.io", 6, 4, 149, 39.46),
    )
)
"""Columns A to E."""

CELLS = (
    (-88.77, 229.09, 0.00, -317.86, -331.52),
    (-68.93, 210.77, 0.00, -279.70, -293.88),
    (-57.66, 200.10, 0.00, -257.76, -271.42),
    (-44.88, 189.70, 0.00, -234.59, -248.91),
    (-32.81, 179.60, 0.00, -212.41, -226.58),
    (-32.37, 179.60, 0.00, -211.97, -226.10),
    (-32.86, 179.60, 0.00, -212.46, -227.11),
    (-32.70, 179.60, 0.00, -212.30, -225.88),
    (-28.45, 176.30, 0.00, -204.75, -220.46),
    (-28.39, 176.30, 0.00, -204.70, -219.26),
    (-28.16, 176.30, 0.00, -204.46, -218.88),
    (-28.14, 176.30, 0.00, -204.45, -218.28),
)
"""Columns F to J, as shown."""

FORECASTS = (
    (3.951, 133.62),
    (3.514, 53.55),
    (3.161, 83.71),
    (2.925, 139.30),
    (2.595, 61.26),
    (2.636, 68.81),
    (2.591, 42.82),
    (2.605, 40.25),
    (2.510, 90.75),
    (2.515, 48.18),
    (2.537, 55.28),
    (2.538, 100.16),
)
"""Expected purchases and revenue of the next 181 days, with the printed parameters."""
