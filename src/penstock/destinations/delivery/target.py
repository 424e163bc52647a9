"""A destination as the deliver role is told of it, and what is needed to send to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from penstock.destinations.delivery.feed import Router
from penstock.destinations.delivery.limits import Perform
from penstock.destinations.model import DestinationSetup

__all__ = ["Made", "Make", "Setups", "Target"]


@dataclass(frozen=True)
class Target:
    """A destination of the workspace."""

    setup: DestinationSetup
    since_us: int = 0
    """When it was created or enabled last: it gets what became clean after that. 0: unknown, it
    begins at the journal's end when it is first seen."""


class Setups(Protocol):
    """The workspace, as far as deliveries need it."""

    def revision(self) -> int:
        """Grows with every change; cheap to ask for twice a second."""

    def targets(self) -> Sequence[Target]:
        """All destinations, the disabled ones too."""


@dataclass(frozen=True)
class Made:
    """A setup, compiled."""

    route: Router
    perform: Perform
    concurrency: int
    requests_per_second: float
    """0: as many as come."""
    most_together: int = 1
    """Payloads in the largest batch of any mapping."""
    renewed: Mapping[str, Any] = field(default_factory=dict)
    """Settings that sending has changed since, such as a refresh token."""


Make = Callable[[DestinationSetup], Made]
"""Compiles a setup. Raises PenstockError when it can't be used."""
