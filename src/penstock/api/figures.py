"""The figures of all roles on the API's own port, for a Prometheus on this machine."""

from __future__ import annotations

import time

from litestar import get
from litestar.di import NamedDependency

from penstock.api.services import Services
from penstock.metrics import read_snapshots, render

__all__ = ["show_metrics"]


@get("/metrics", media_type="text/plain; version=0.0.4", include_in_schema=False)
async def show_metrics(services: NamedDependency[Services]) -> str:
    """The same page as the collector's, without names of people or values of events."""
    return render(read_snapshots(services.settings.run_folder), time.time())
