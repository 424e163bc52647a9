"""When the write-ahead file is written into the main file, and when it must not be.

Between two checkpoints the engine changes no byte of the main file that the last one made: new
blocks take free places, and commits go to the write-ahead file. So whoever holds checkpoints off
can copy the main file, and as much of the write-ahead file as was committed when the hold began,
while loading goes on. Both together are the warehouse as of that commit.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from penstock.errors import WarehouseInvalid, WarehouseUnavailable

__all__ = ["CHECKPOINT_BYTES", "Checkpoints", "Hold", "write_ahead_file"]

log = logging.getLogger("penstock.warehouse")
CHECKPOINT_BYTES = 512 * 1024 * 1024
"""Each checkpoint writes the last row group of every table again, so seldom is cheap; what is in
the write-ahead file must be read again after a crash (524 MB in 2.6 s)."""
_LONGEST_HOLD_S = 3600.0


def write_ahead_file(file: Path) -> Path:
    """What the engine keeps beside its main file."""
    return file.with_name(f"{file.name}.wal")


@dataclass(frozen=True)
class Hold:
    """A moment of the warehouse that can be copied."""

    main_bytes: int
    """Length of the main file; what is added later is no part of the moment."""
    wal_bytes: int
    """Length of the write-ahead file up to the last commit."""


class Checkpoints:
    """Decides when to write a checkpoint; the loader's thread writes, any other may hold."""

    def __init__(
        self,
        file: Path | str,
        checkpoint: Callable[[], object],
        *,
        threshold: int = CHECKPOINT_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file = Path(file)
        self._checkpoint = checkpoint
        self._threshold = threshold
        self._clock = clock
        self._changing = threading.Lock()
        self._holds: dict[int, float] = {}
        """When each hold began."""
        self._begun = 0
        self._closed = False
        self._committed = _size(write_ahead_file(self._file))

    def committed(self) -> None:
        """Note a commit; write a checkpoint when much has gathered and nobody holds them off.

        Raises WarehouseInvalid, and nothing that would let the loader load the commit again.
        """
        with self._changing:
            self._committed = _size(write_ahead_file(self._file))
            if self._committed < self._threshold:
                return
            self._drop_old_holds()
            if self._holds:
                return
            self._write()
            self._committed = _size(write_ahead_file(self._file))

    def _write(self) -> None:
        """What was committed stays so when this fails; the next commit tries again."""
        try:
            self._checkpoint()
        except duckdb.Error as error:
            if isinstance(error, duckdb.FatalException | duckdb.InternalException):
                raise WarehouseInvalid(f"writing a checkpoint: {error}") from error
            log.warning("no checkpoint just now: %s", error)

    @contextmanager
    def held(self) -> Iterator[Hold]:
        """No checkpoint is written inside the block.

        Raises WarehouseUnavailable at its end when one was all the same: the copy is void.
        """
        with self._changing:
            if self._closed:
                raise WarehouseUnavailable("the warehouse is closing")
            self._begun += 1
            number = self._begun
            self._holds[number] = self._clock()
            hold = Hold(_size(self._file), self._committed)
        try:
            yield hold
        finally:
            with self._changing:
                intact = self._holds.pop(number, None) is not None
        if not intact:
            raise WarehouseUnavailable(
                "the warehouse closed, or took too long to copy, while it was copied; try again"
            )

    def close(self) -> None:
        """End every hold: the engine writes a checkpoint when it closes."""
        with self._changing:
            self._closed = True
            self._holds.clear()

    def _drop_old_holds(self) -> None:
        """A client that hangs must not let the write-ahead file grow for ever."""
        for number, began in list(self._holds.items()):
            if self._clock() - began > _LONGEST_HOLD_S:
                log.warning("a copy of the warehouse took longer than an hour and is given up")
                del self._holds[number]


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
