"""What of the events a definition asks for."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import msgspec

from penstock.profiles.language.aliases import names_of
from penstock.profiles.language.model import Test, Tests
from penstock.profiles.observed import Observed
from penstock.profiles.signals.comparing import compile_tests, property_of
from penstock.profiles.signals.keeping import Keep

__all__ = ["Observer", "Signal", "signal"]

_encode = msgspec.json.Encoder(order="deterministic").encode


class Signal(msgspec.Struct, frozen=True):
    """Events that count, and what is kept of them; two that ask for the same are one."""

    key: str
    names: tuple[str, ...]
    tests: Test | Tests | None
    property: str
    keep: Any
    """A ``Keep``."""


def signal(name: str, tests: Test | Tests | None, property_name: str, keep: Keep) -> Signal:
    """The signal of these events; its key follows from all that it asks for."""
    names = names_of(name)
    kept = [type(keep).__name__, *dataclasses.astuple(keep)]  # type: ignore[call-overload]
    canonical = _encode([names, tests, property_name, kept])
    key = hashlib.blake2b(canonical, digest_size=6).hexdigest()
    return Signal(key, names, tests, property_name, keep)


class Observer:
    """Shows events to signals. An event that no signal names costs one look-up."""

    def __init__(self, signals: list[Signal]) -> None:
        self._by_name: dict[str, list[tuple[str, Any, Any, Any]]] = {}
        for one in signals:
            take = property_of(one.property) if one.property else None
            entry = (one.key, compile_tests(one.tests), take, one.keep)
            for name in one.names:
                self._by_name.setdefault(name, []).append(entry)

    def __call__(self, states: dict[str, Any], event: Observed) -> list[str]:
        """Take an event into the states of a segment; returns the keys of those it changed."""
        entries = self._by_name.get(event.name)
        if entries is None:
            return []
        touched = []
        order = event.order
        for key, passes, take, keep in entries:
            if passes is not None and not passes(event.properties):
                continue
            state = states.get(key)
            if state is None:
                state = states[key] = keep.empty()
            keep.add(state, order, None if take is None else take(event.properties))
            touched.append(key)
        return touched

    @property
    def names(self) -> frozenset[str]:
        """Names of the events that any signal looks at."""
        return frozenset(self._by_name)
