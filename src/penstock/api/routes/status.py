"""Where events are on their way."""

from __future__ import annotations

from litestar.di import NamedDependency

from penstock.api.board import StatusBoard
from penstock.api.routing import route
from penstock.monitor.status import Status

__all__ = ["HANDLERS"]


@route("GET", "/status", "status:read", tag="monitor")
def show_status(board: NamedDependency[StatusBoard]) -> Status:
    """Show what was received, refused, dropped as duplicate and loaded, and what waits.

    Counts are events since the beginning.
    """
    return board.status()


HANDLERS = [show_status]
