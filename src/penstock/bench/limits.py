"""What this machine could do at best: the limits that every figure is a ratio to."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from penstock.errors import ConfigurationError

__all__ = ["append_limit", "parse_limit", "rate"]


def rate(step: Callable[[], int], seconds: float) -> float:
    """Events a second of a function that says how many it did, called for so long."""
    step()
    done = 0
    began = time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds:
        done += step()
    return done / spent


def append_limit(folder: Path, block: bytes, events: int, seconds: float) -> float:
    """Events a second of appending a block of bytes to a file and fdatasync, one at a time."""
    path = folder / "append-limit"
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

    def step() -> int:
        os.write(descriptor, block)
        os.fdatasync(descriptor)
        return events

    try:
        return rate(step, seconds)
    finally:
        os.close(descriptor)
        path.unlink()


def parse_limit(bodies: list[bytes], seconds: float) -> float:
    """Events a second of ``orjson.loads`` alone."""
    try:
        import orjson
    except ImportError as error:
        raise ConfigurationError(
            "the benchmark compares with orjson: pip install 'penstock[bench]'"
        ) from error

    def step() -> int:
        for body in bodies:
            orjson.loads(body)
        return len(bodies)

    return rate(step, seconds)
