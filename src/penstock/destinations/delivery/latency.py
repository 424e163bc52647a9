"""Durations as numbers of buckets, each a quarter wider than the one before."""

from __future__ import annotations

import math

__all__ = ["bucket_of", "seconds_at"]

_LEAST_S = 0.001
_GROWTH = math.log(1.25)


def bucket_of(seconds: float) -> int:
    """The bucket of a duration; 0 holds all up to a millisecond."""
    return 0 if seconds <= _LEAST_S else math.ceil(math.log(seconds / _LEAST_S) / _GROWTH)


def seconds_at(bucket: int) -> float:
    """The longest duration that a bucket holds."""
    return round(_LEAST_S * math.exp(bucket * _GROWTH), 3)
