"""Many positions in few bytes."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import msgspec

__all__ = ["packed", "unpacked"]

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[int]).decode


def packed(positions: Iterable[int]) -> bytes:
    """Positions, ascending, as bytes: about one for each that is near the one before.

    A long run without a gap takes next to nothing.
    """
    steps, before = [], 0
    for position in sorted(positions):
        steps.append(position - before)
        before = position
    return zlib.compress(_encode(steps), 1)


def unpacked(raw: bytes) -> list[int]:
    """The positions that ``packed`` was given, ascending."""
    found, position = [], 0
    for step in _decode(zlib.decompress(raw)):
        position += step
        found.append(position)
    return found
