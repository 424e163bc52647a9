"""Penstock: an open-source customer data platform on your own machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock.client import Connection

__all__ = ["__version__", "connect"]

__version__ = "0.1.0"


def connect(place: str | os.PathLike[str] | None = None, *, token: str | None = None) -> Connection:
    """The warehouse of a data folder, or at the address of a management API; see ``client``."""
    from penstock import client

    return client.connect(place, token=token)
