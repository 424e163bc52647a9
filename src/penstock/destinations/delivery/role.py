"""The body of the deliver role, with what it needs of the workspace as protocols."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import uvloop

from penstock.destinations.delivery.consumer import Bounds
from penstock.destinations.delivery.file import DeliveryFile
from penstock.destinations.delivery.making import maker
from penstock.destinations.delivery.records import Figures
from penstock.destinations.delivery.target import Target
from penstock.destinations.delivery.worker import Deliverer
from penstock.destinations.model import DestinationSetup
from penstock.destinations.registry import definition
from penstock.destinations.route import Functions
from penstock.destinations.sending.senders import Senders
from penstock.journal.contract import Journal
from penstock.settings import Settings

__all__ = ["Workspace", "run_deliver"]

_IDLE_TICKS = 40
"""Times that nothing was there to deliver to, before it ends: about two seconds."""
_DRAIN_S = 5.0


class Workspace(Protocol):
    """What is read of the workspace."""

    def revision(self) -> int:
        """Grows with every change."""

    def destinations(self) -> list[DestinationSetup]:
        """All, secrets in clear."""

    def destination_starts(self) -> dict[str, int]:
        """When each was created or enabled last, microseconds since 1970."""


class _Setups:
    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def revision(self) -> int:
        return self._workspace.revision()

    def targets(self) -> Sequence[Target]:
        starts = self._workspace.destination_starts()
        return [
            Target(setup, starts.get(setup.slug, 0)) for setup in self._workspace.destinations()
        ]


Reports = Callable[[Callable[[], list[Figures]]], Callable[[], None]]


def run_deliver(
    settings: Settings,
    journal: Journal,
    workspace: Workspace,
    stop: Callable[[], bool],
    *,
    renew: Callable[[str, str], None],
    reporter: Reports,
    bounds: Bounds | None = None,
    functions_of: Callable[[DestinationSetup], Functions | None] = lambda _: None,
) -> None:
    """Deliver until ``stop``, or until there is nothing to deliver to.

    ``renew`` keeps a refresh token; ``reporter`` is given the figures and returns what reports
    them, called several times a second. ``bounds``: others than the settings say.
    """
    file = DeliveryFile(settings.deliveries_file, mend=True)
    bounds = bounds or Bounds(settings.retry_limit, float(settings.replay_rate))

    async def run() -> None:
        senders = Senders(
            allow_private=settings.allow_private_destinations, folder=settings.exports_root
        )

        async def renewed(slug: str, token: str) -> None:
            await asyncio.to_thread(renew, slug, token)

        make = maker(lambda slug: definition(slug, settings.destinations_folder), senders,
                     renewed=renewed, functions_of=functions_of)  # fmt: skip
        deliverer = Deliverer(journal, file, _Setups(workspace), make,
                              bounds=bounds, keep=settings.monitor_retention)  # fmt: skip
        try:
            await deliverer.run(_Over(deliverer, stop, reporter(deliverer.figures)), _DRAIN_S)
        finally:
            await senders.close()

    try:
        uvloop.run(run())
    finally:
        file.close()


class _Over:
    """Asked in every round: reports, and says whether it is time to end."""

    def __init__(
        self, deliverer: Deliverer, stop: Callable[[], bool], report: Callable[[], None]
    ) -> None:
        self._deliverer = deliverer
        self._stop = stop
        self._report = report
        self._idle = 0

    def __call__(self) -> bool:
        self._report()
        self._idle = self._idle + 1 if self._deliverer.is_idle else 0
        return self._stop() or self._idle > _IDLE_TICKS
