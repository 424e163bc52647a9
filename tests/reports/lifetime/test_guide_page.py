"""The programs of the guide on lifetime value run as printed."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest

from penstock.reports.lifetime import BgNbd
from tests.reports.lifetime.drawn import draw

PAGE = Path(__file__).parents[3] / "docs" / "guides" / "lifetime-value.md"


def test_the_programs_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    customers = draw(BgNbd(0.8, 30, 0.8, 3.0), 2000, rng, age=(30, 400), horizon=0).customers
    scale = rng.gamma(5, 1 / 30, 2000)
    with Path("buyers.csv").open("w", newline="") as lines:
        table = csv.writer(lines)
        table.writerow(("user_id", "orders", "recency", "age", "average"))
        for row in range(2000):
            orders = int(customers.frequency[row]) + 1
            average = rng.gamma(4 * orders) / scale[row] / orders
            times = (int(customers.recency[row]), int(customers.age[row]))
            table.writerow((f"u{row}", orders, *times, f"{average:.2f}"))
    programs = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert len(programs) == 2
    for program in programs:
        exec(compile(program, str(PAGE), "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed[:7]] == ["r", "alpha", "a", "b", "p", "q", "gamma"]
    assert [line.split()[0] for line in printed[7:17]] == [str(place) for place in range(1, 11)]
    assert printed[17] == "-88.77"
    assert Path("ltv.xlsx").stat().st_size > 5000
