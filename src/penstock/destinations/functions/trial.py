"""Trying a function on events: what it makes of each, and how long that takes."""

from __future__ import annotations

import difflib
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from penstock.destinations.functions.chain import Chain, Place
from penstock.destinations.functions.function import Outcome
from penstock.destinations.model import FunctionSetup

__all__ = ["Tried", "try_function"]

Event = dict[str, Any]


class Tried(msgspec.Struct, frozen=True):
    """What a function made of one event."""

    outcome: str
    """unchanged, changed, dropped, ``3 events``, or failed."""
    before: Event
    after: list[Event]
    changes: list[str]
    """Lines that differ, as a diff shows them."""
    milliseconds: float
    code: str
    message: str
    line: int
    """Of the function's file, where it failed; 0: unknown."""
    printed: str


def try_function(
    setup: FunctionSetup, folder: Path, events: Sequence[Event], allow_private: bool
) -> Iterator[Tried]:
    """Run it on each event, one after the other; its file lies in ``folder``."""
    enabled = msgspec.structs.replace(setup, enabled=True)
    setups = {setup.slug: enabled}
    chain = Chain("test", lambda: setups, lambda found: [*found.values()],
                  Place(folder, allow_private))  # fmt: skip
    chain.look()
    try:
        chain([b'{"type":""}'])  # starts the process, which is not to count
        for event in events:
            began = time.perf_counter()
            (outcome,) = chain([msgspec.json.encode(event)])
            yield _tried(event, outcome, (time.perf_counter() - began) * 1000)
    finally:
        chain.close()


def _tried(event: Event, outcome: Outcome, milliseconds: float) -> Tried:
    after = [event] if outcome.events is None else [json.loads(one) for one in outcome.events]
    changes = [] if outcome.code else _changes(event, after)
    return Tried(
        "failed" if outcome.code else _word(event, after), event, after, changes,
        round(milliseconds, 3), outcome.code, outcome.message, outcome.line, outcome.printed,
    )  # fmt: skip


def _word(event: Event, after: list[Event]) -> str:
    if len(after) == 1:
        return "unchanged" if after[0] == event else "changed"
    return f"{len(after)} events" if after else "dropped"


def _changes(event: Event, after: list[Event]) -> list[str]:
    if not after or after == [event]:
        return []
    before_lines = _pretty(event)
    after_lines = [line for one in after for line in _pretty(one)]
    found = difflib.unified_diff(before_lines, after_lines, n=0, lineterm="")
    return [line for line in found if not line.startswith(("---", "+++", "@@"))]


def _pretty(event: Event) -> list[str]:
    return json.dumps(event, indent=1, ensure_ascii=False, default=str).splitlines()
