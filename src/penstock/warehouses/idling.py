"""Gives memory back that a burst of loading left behind, once there is nothing to load."""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable

__all__ = ["Idling", "give_back"]

_AFTER_S = 1.0


def give_back() -> None:
    """Return what was freed to the system; the allocator of glibc keeps it otherwise, up to 30 MB.

    Does nothing where the C library has no such call.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


class Idling:
    """Told in every round how much was done; gives memory back once in each time of rest."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        give_back: Callable[[], None] = give_back,
    ) -> None:
        self._clock = clock
        self._give_back = give_back
        self._since: float | None = clock()
        """When the rest began; None: memory was given back since."""

    def __call__(self, done: int) -> None:
        """``done``: events of this round."""
        if done:
            self._since = self._clock()
        elif self._since is not None and self._clock() >= self._since + _AFTER_S:
            self._since = None
            self._give_back()
