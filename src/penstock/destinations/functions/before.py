"""The functions before a destination's mappings: run beside the event loop, never in it."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec

from penstock import logs
from penstock.destinations.functions.chain import Chain, FunctionState, Place, Setups
from penstock.destinations.functions.function import (
    FUNCTION_FAILED,
    FUNCTION_UNAVAILABLE,
    Outcome,
)
from penstock.destinations.model import DestinationSetup, FunctionSetup
from penstock.destinations.routed import NotPassed, NotYet
from penstock.errors import PenstockError

__all__ = ["BeforeMappings", "Blocking", "DestinationFunctions", "chain_of"]

log = logs.get("penstock.functions")
_AT_ONCE = 200
_KEPT = 5_000
"""Outcomes that nobody came for."""
_IDLE_S = 300.0
"""After which processes end; the next event starts them again."""
Event = dict[str, Any]
_encode = msgspec.json.Encoder(enc_hook=str).encode
_decode = msgspec.json.Decoder(Event).decode


class Blocking:
    """Waits for the functions; for commands."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    def __call__(self, event: Event) -> list[Event]:
        """What the functions make of an event. Raises NotPassed."""
        if not self._chain.look():
            return [event]
        return _made(event, self._chain([_encode(event)])[0])

    def prepare(self, event: Event) -> None:
        """Nothing is done ahead."""


class BeforeMappings:
    """Called in an event loop, which it does not block: what is not known yet is NotYet.

    A thread runs the functions, on all that was asked for meanwhile at once. An outcome is
    kept until it is taken.
    """

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._lock = threading.Condition()
        self._wanted: OrderedDict[bytes, None] = OrderedDict()
        self._busy: frozenset[bytes] = frozenset()
        self._known: OrderedDict[bytes, Outcome | None] = OrderedDict()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, Callable[[], None]]] = []
        self._thread: threading.Thread | None = None
        self._closing = False
        self.states: list[FunctionState] = []
        """How the functions did when they were used last."""

    def __call__(self, event: Event) -> list[Event]:
        """What the functions make of an event. Raises NotPassed, and NotYet."""
        raw = _raw(event)
        with self._lock:
            if raw not in self._known:
                self._want(raw)
                raise NotYet(self._then)
            outcome = self._known.pop(raw)
        return _made(event, outcome)

    def prepare(self, event: Event) -> None:
        """Begin with an event that will be asked for soon."""
        raw = _raw(event)
        with self._lock:
            if raw not in self._known:
                self._want(raw)

    def _want(self, raw: bytes) -> None:
        if raw in self._wanted or raw in self._busy:
            return
        self._wanted[raw] = None
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="functions", daemon=True)
            self._thread.start()
        self._lock.notify()

    def _then(self, callback: Callable[[], None]) -> None:
        with self._lock:
            if self._wanted or self._busy:
                self._waiting.append((asyncio.get_running_loop(), callback))
                return
        callback()

    def _work(self) -> None:
        while True:
            with self._lock:
                while not self._wanted and not self._closing:
                    if not self._lock.wait(_IDLE_S):
                        self._chain.close()
                if self._closing:
                    break
                events = [self._wanted.popitem(last=False)[0]
                          for _ in range(min(len(self._wanted), _AT_ONCE))]  # fmt: skip
                self._busy = frozenset(events)
            outcomes = self._outcomes(events)
            with self._lock:
                self._busy = frozenset()
                self._known.update(zip(events, outcomes, strict=True))
                while len(self._known) > _KEPT:
                    self._known.popitem(last=False)
                waiting, self._waiting = self._waiting, []
                self.states = self._chain.states()
            for loop, callback in waiting:
                if not loop.is_closed():
                    loop.call_soon_threadsafe(callback)
        self._chain.close()

    def _outcomes(self, events: list[bytes]) -> list[Outcome | None]:
        try:
            if not self._chain.look():
                return [None] * len(events)
            return list(self._chain(events))
        except PenstockError as error:
            log.error("functions can't be run", error=error)
            return [Outcome((), FUNCTION_UNAVAILABLE, str(error))] * len(events)
        except Exception:
            log.exception("functions can't be run")
            return [Outcome((), FUNCTION_UNAVAILABLE, "unexpected error")] * len(events)

    def close(self) -> None:
        """End the processes; what is on its way is not known any more."""
        with self._lock:
            self._closing = True
            self._lock.notify()


class DestinationFunctions:
    """The functions of every destination, each destination with processes of its own."""

    def __init__(self, setups: Setups, place: Place) -> None:
        self._setups = setups
        self._place = place
        self._made: dict[str, BeforeMappings] = {}

    def __call__(self, setup: DestinationSetup) -> BeforeMappings | None:
        """For a destination that begins anew; those it had before end."""
        before = self._made.pop(setup.slug, None)
        if before is not None:
            before.close()
        if not setup.functions:
            return None
        made = BeforeMappings(chain_of(setup, self._setups, self._place))
        self._made[setup.slug] = made
        return made

    def states(self) -> list[FunctionState]:
        """How each function did at each destination when it was used last."""
        return [state for made in self._made.values() for state in made.states]

    def close(self) -> None:
        """End all."""
        for made in self._made.values():
            made.close()


def chain_of(setup: DestinationSetup, setups: Setups, place: Place) -> Chain:
    """The functions of a destination."""
    return Chain(f"destination:{setup.slug}", setups, partial(_named, setup.functions), place)


def _named(slugs: tuple[str, ...], setups: Mapping[str, FunctionSetup]) -> list[FunctionSetup]:
    return [setups[slug] for slug in slugs if slug in setups]


def _raw(event: Event) -> bytes:
    try:
        return _encode(event)
    except (UnicodeEncodeError, RecursionError) as error:
        raise NotPassed(FUNCTION_FAILED, f"the event is no JSON: {error}", later=False) from error


def _made(event: Event, outcome: Outcome | None) -> list[Event]:
    if outcome is None or (not outcome.code and outcome.events is None):
        return [event]
    if outcome.code:
        place = f"line {outcome.line}: " if outcome.line else ""
        raise NotPassed(outcome.code, f"{place}{outcome.message}", later=outcome.may_pass_later)
    try:
        return [_decode(one) for one in outcome.events or ()]
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise NotPassed(FUNCTION_FAILED, f"it returned no events: {error}", later=False) from error
