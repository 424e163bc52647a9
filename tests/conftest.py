"""What holds for all tests: soak runs only when asked for, no skip in silence under CI, and no
time limit for a generated example.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what is marked ``soak`` unless PENSTOCK_SOAK is set."""
    if os.environ.get("PENSTOCK_SOAK"):
        return
    kept = [item for item in items if item.get_closest_marker("soak") is None]
    items[:] = kept


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> object:
    """Under PENSTOCK_TEST_REQUIRE=all a skip is a failure, whoever skipped."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    expected = hasattr(report, "wasxfail")
    if report.skipped and not expected and os.environ.get("PENSTOCK_TEST_REQUIRE") == "all":
        report.outcome = "failed"
        report.longrepr = f"skipped, though PENSTOCK_TEST_REQUIRE=all: {report.longrepr}"
    return outcome
