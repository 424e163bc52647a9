"""The race with another library: the same data, the same fit, the same forecasts."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.bench.lifetime import RIVALS, race


def test_both_libraries_find_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.bench.lifetime.RIVALS", RIVALS[:1])
    said: list[str] = []
    result = race(tmp_path, 3000, said.append)
    theirs = result.others["lifetimes"]
    assert result.penstock.values == pytest.approx(theirs.values, rel=2e-3)
    assert result.ahead("lifetimes") > -1e-6
    assert result.penstock.expected == pytest.approx(theirs.expected, rel=1e-3)
    assert result.penstock.alive == pytest.approx(theirs.alive, rel=1e-3)
    assert result.penstock.seconds > 0 and result.ratio("lifetimes") > 0
    assert "3,000 customers" in said[0]


def test_a_library_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = RIVALS[1]
    monkeypatch.delenv(absent.variable, raising=False)
    monkeypatch.setattr("penstock.bench.lifetime.RIVALS", (absent,))
    monkeypatch.setattr("penstock.bench.lifetime.find_spec", lambda _: None)
    said: list[str] = []
    assert race(tmp_path, 1000, said.append).others == {}
    assert absent.variable in said[-1]
