from __future__ import annotations

from datetime import date

import pytest

from penstock.demo import Simulation, simulate
from tests.demo.warehouse import Warehouse

CASES = (
    (1, 1.0, date(2026, 3, 31)),
    (2, 0.3, date(2024, 2, 29)),
    (3, 3.0, date(2025, 8, 31)),
)


@pytest.fixture(scope="session", params=CASES, ids=lambda case: f"seed{case[0]}-scale{case[1]}")
def city(request: pytest.FixtureRequest) -> tuple[Simulation, Warehouse]:
    """A simulation and a warehouse that holds it, for several seeds, scales and dates."""
    seed, scale, as_of = request.param
    simulation = simulate(seed, scale, as_of=as_of)
    return simulation, Warehouse(simulation.events)


@pytest.fixture(scope="session")
def one() -> tuple[Simulation, Warehouse]:
    """One small city, for tests that change the warehouse and roll back."""
    simulation = simulate(1, 0.2, as_of=date(2026, 1, 15))
    return simulation, Warehouse(simulation.events)
