"""What the models see of each customer: how often, how lately, watched for how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from penstock.errors import StatisticsError

__all__ = ["Customers", "FloatArray", "Histories", "IntArray"]

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]

_LARGEST_COUNT = 10_000_000


@dataclass(frozen=True)
class Histories:
    """The different purchase histories, in order of (frequency, recency, age)."""

    frequency: IntArray
    recency: FloatArray
    age: FloatArray
    count: FloatArray
    """How many customers have this history."""
    position: IntArray
    """For each customer, in the order given, the index of the history."""

    def without_recency(self) -> tuple[IntArray, FloatArray, IntArray]:
        """The different (frequency, age), and for each history the index among them.

        What happens to customers who are still there depends on nothing else.
        """
        key = _combined(_codes(column) for column in (self.frequency, self.age))
        first, position, _ = _grouped(key)
        return self.frequency[first], self.age[first], position


@dataclass(frozen=True)
class Customers:
    """Purchase histories, one entry a customer, in one unit of time for recency and age.

    ``frequency`` counts repeat purchases (x): orders less the first one. ``recency`` (t_x) is the
    time from first to last order, 0 when there was one. ``age`` (T) is the time from the first
    order to the end of observation.
    """

    frequency: IntArray
    recency: FloatArray
    age: FloatArray

    @classmethod
    def of(cls, frequency: ArrayLike, recency: ArrayLike, age: ArrayLike) -> Customers:
        """Check and hold three arrays of one length; raises StatisticsError naming the first row.

        Rows are counted from 0.
        """
        counts, recencies, ages = (
            np.ascontiguousarray(np.atleast_1d(np.asarray(column, dtype=np.float64)))
            for column in (frequency, recency, age)
        )
        if counts.ndim != 1 or not counts.shape == recencies.shape == ages.shape:
            raise StatisticsError(
                "frequency, recency and age must be three columns of one length, not "
                f"{counts.shape}, {recencies.shape} and {ages.shape}"
            )
        _refuse_first(
            ~(np.isfinite(counts) & np.isfinite(recencies) & np.isfinite(ages)),
            "has an empty or endless value: leave out customers without an order",
        )
        _refuse_first(
            (counts < 0) | (counts > _LARGEST_COUNT) | (counts != np.floor(counts)),
            "has a frequency that is no count of repeat purchases: give orders less one",
        )
        _refuse_first(
            (recencies < 0) | (recencies > ages),
            "has a recency outside 0 to its age: recency is the time from the first to the last "
            "order, age the time from the first order to the end of observation",
        )
        _refuse_first(
            (counts == 0) & (recencies > 0),
            "has no repeat purchase but a recency above 0: give 0, or count the repeat purchase",
        )
        return cls(counts.astype(np.int64), recencies, ages)

    def __len__(self) -> int:
        return len(self.frequency)

    def __getitem__(self, rows: Any) -> Customers:
        return Customers(self.frequency[rows], self.recency[rows], self.age[rows])

    @cached_property
    def histories(self) -> Histories:
        """Equal (frequency, recency, age) once each: models are evaluated for these only."""
        columns = (self.frequency, self.recency, self.age)
        first, position, count = _grouped(_combined(_codes(column) for column in columns))
        return Histories(
            self.frequency[first], self.recency[first], self.age[first], count, position
        )


def _refuse_first(wrong: NDArray[np.bool_], what: str) -> None:
    if wrong.any():
        row = int(np.argmax(wrong))
        raise StatisticsError(f"customer {row} (from 0; {int(wrong.sum())} such in all) {what}")


def _codes(column: FloatArray | IntArray) -> tuple[IntArray, int]:
    """Whole numbers from 0 in the order of the values, and how many there may be."""
    if column.size and column.max() < 1 << 21:
        codes = column.astype(np.int64)
        if bool((codes == column).all()):
            return codes, int(codes.max()) + 1
    levels, codes = np.unique(column, return_inverse=True)
    return codes.reshape(-1).astype(np.int64), len(levels)


def _combined(columns: Any) -> IntArray:
    """One number a row, ordered as the rows are; 2^63 bounds what it can tell apart."""
    parts: Sequence[tuple[IntArray, int]] = list(columns)
    key, width = parts[0]
    for codes, levels in parts[1:]:
        if width * levels >= 1 << 62:
            _, dense = np.unique(key, return_inverse=True)
            key, width = dense.reshape(-1).astype(np.int64), int(dense.max()) + 1
        key = key * levels + codes
        width *= levels
    return key


def _grouped(key: IntArray) -> tuple[IntArray, IntArray, FloatArray]:
    """Give a row of each different key, in its order; which of them each row has; their counts."""
    order = np.argsort(key)
    ordered = key[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1))
    counts = np.diff(np.append(starts, len(key)))
    position = np.empty(len(key), dtype=np.int64)
    position[order] = np.repeat(np.arange(len(starts)), counts)
    return order[starts], position, counts.astype(np.float64)
