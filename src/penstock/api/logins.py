"""Keeps people from trying passwords: so many wrong ones per account and per address."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict, deque
from collections.abc import Callable

__all__ = ["LoginLimiter"]

_WINDOW_S = 300.0
_PER_ACCOUNT = 10
_PER_ADDRESS = 30
_MOST_KEYS = 20_000


class LoginLimiter:
    """Counts attempts of the last five minutes; one that succeeds does not count.

    An attempt counts from its begin, so that many at once are no way around it.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._attempts: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()

    def begin(self, account: str, address: str) -> int:
        """0 when the attempt may be made, which counts it; else the seconds to wait."""
        now = self._now()
        keys = (("account", account, _PER_ACCOUNT), ("address", address, _PER_ADDRESS))
        with self._lock:
            waits = [self._wait((kind, name), most, now) for kind, name, most in keys]
            if any(waits):
                return max(waits)
            for kind, name, _ in keys:
                self._attempts.setdefault((kind, name), deque()).append(now)
                self._attempts.move_to_end((kind, name))
            while len(self._attempts) > _MOST_KEYS:
                self._attempts.popitem(last=False)
        return 0

    def succeed(self, account: str, address: str) -> None:
        """Forget the attempts on the account, and this one of the address."""
        with self._lock:
            self._attempts.pop(("account", account), None)
            of_address = self._attempts.get(("address", address))
            if of_address:
                of_address.pop()

    def _wait(self, key: tuple[str, str], most: int, now: float) -> int:
        made = self._attempts.get(key)
        if made is None:
            return 0
        while made and made[0] <= now - _WINDOW_S:
            made.popleft()
        if len(made) < most:
            return 0
        return max(math.ceil(made[0] + _WINDOW_S - now), 1)
