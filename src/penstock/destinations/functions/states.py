"""What became of functions, left in the run folder for commands and checks."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from penstock.destinations.functions.chain import FunctionState

__all__ = ["StateFile", "read_states"]

_EVERY_S = 1.0
_PREFIX = "functions-"
_decode = msgspec.json.Decoder(list[FunctionState]).decode


class StateFile:
    """The states of one role, written when they changed, at most once a second."""

    def __init__(
        self, run_folder: Path, role: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._file = run_folder / f"{_PREFIX}{role}.json"
        self._file.unlink(missing_ok=True)
        self._clock = clock
        self._next = 0.0
        self._written = b"[]"

    def write(self, states: Callable[[], Sequence[FunctionState]]) -> None:
        """Leave the states; a disk that is full just now leaves those from before."""
        if self._clock() < self._next:
            return
        self._next = self._clock() + _EVERY_S
        body = msgspec.json.encode(states())
        if body == self._written:
            return
        made = self._file.with_suffix(".new")
        try:
            made.write_bytes(body)
            made.replace(self._file)
        except OSError:
            return
        self._written = body


def read_states(run_folder: Path) -> list[FunctionState]:
    """What every role left last, by function and place."""
    found: list[FunctionState] = []
    for file in sorted(run_folder.glob(f"{_PREFIX}*.json")):
        try:
            found += _decode(file.read_bytes())
        except (OSError, msgspec.MsgspecError):
            continue
    return sorted(found, key=lambda state: (state.function, state.place))
