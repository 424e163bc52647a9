"""Functions one after the other, as the workspace has them now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from penstock.destinations.functions import frames
from penstock.destinations.functions.child import Carry
from penstock.destinations.functions.function import Function, Outcome
from penstock.destinations.model import FunctionSetup

__all__ = ["Chain", "FunctionState", "Place", "Setups"]

Setups = Callable[[], Mapping[str, FunctionSetup]]
"""The functions of the workspace by slug; the same object while nothing changed. Cheap."""
Choose = Callable[[Mapping[str, FunctionSetup]], Sequence[FunctionSetup]]


class FunctionState(msgspec.Struct, frozen=True):
    """How a function does at one place."""

    function: str
    place: str
    """``source:shop`` or ``destination:crm``."""
    state: str
    """idle, running, broken or held."""
    problem: str
    counts: dict[str, int]
    """passed, dropped, added, and codes of failures, since the process that runs it started."""


class Place(msgspec.Struct, frozen=True):
    """Where functions run, and with what."""

    folder: Path
    """Where their files are."""
    allow_private: bool = False
    """Whether they may reach private addresses, where their ``network`` names them."""
    files: str = ""
    """See ``child.Child``."""


class Chain:
    """The functions of one place. Blocks; used by one thread, which has to live on.

    Each place has processes of its own, so that what happens at one is nothing to the others.
    """

    def __init__(self, name: str, setups: Setups, choose: Choose, place: Place) -> None:
        """``choose`` picks of all functions those of this place, in order."""
        self._name = name
        self._setups = setups
        self._choose = choose
        self._place = place
        self._known: Mapping[str, FunctionSetup] | None = None
        self._functions: list[Function] = []

    def look(self) -> bool:
        """Take up changes of the workspace; whether there is a function. Raises PenstockError."""
        setups = self._setups()
        if setups is not self._known:
            wanted = [setup for setup in self._choose(setups) if setup.enabled]
            kept = {one.setup.slug: one for one in self._functions if one.setup in wanted}
            for function in self._functions:
                if function.setup.slug not in kept:
                    function.close()
            self._functions = [kept.get(setup.slug) or self._made(setup) for setup in wanted]
            self._known = setups
        return bool(self._functions)

    def __call__(self, events: Sequence[bytes]) -> list[Outcome]:
        """What the functions made of each event, as JSON, in order.

        When one of them fails for any of the events made of an event, all of it has failed.
        """
        made: list[list[bytes]] = [[event] for event in events]
        failed: list[Outcome | None] = [None] * len(made)
        touched = [False] * len(made)
        printed = [""] * len(made)
        for function in self._functions:
            outcomes = iter(function([event for each in made for event in each]))
            for number, each in enumerate(made):
                following: list[bytes] = []
                for event in each:
                    outcome = next(outcomes)
                    printed[number] += outcome.printed
                    if outcome.code:
                        failed[number] = failed[number] or outcome
                    touched[number] = touched[number] or outcome.events is not None
                    following += (event,) if outcome.events is None else outcome.events
                made[number] = [] if failed[number] else following
        return [
            failure or Outcome(tuple(each) if changed else None, printed=text)
            for failure, each, changed, text in zip(failed, made, touched, printed, strict=True)
        ]

    def states(self) -> list[FunctionState]:
        """How each does."""
        return [
            FunctionState(one.setup.slug, self._name, one.state, one.problem, dict(one.counts))
            for one in self._functions
        ]

    def close(self) -> None:
        """End the processes."""
        for function in self._functions:
            function.close()

    def _made(self, setup: FunctionSetup) -> Function:
        return Function(setup, self._place.folder, self._carry(setup), files=self._place.files)

    def _carry(self, setup: FunctionSetup) -> Carry:
        if not setup.network:
            return _no_network
        from penstock.destinations.functions.fetching import carrier

        return carrier(setup.network, allow_private=self._place.allow_private)


def _no_network(_: frames.Fetch, _seconds: float) -> frames.Fetched:
    return frames.Fetched(0, error="the function's network names no host, so it reaches none")
