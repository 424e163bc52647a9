"""What is no purchase history is refused, with the row and what to do."""

from __future__ import annotations

import numpy as np
import pytest

from penstock.errors import StatisticsError
from penstock.reports.lifetime import Customers, Spending

Row = tuple[float, float, float]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ((-1, 0, 10), "give orders less one"),
        ((1.5, 3, 10), "give orders less one"),
        ((1, 11, 10), "recency outside 0 to its age"),
        ((1, -1, 10), "recency outside 0 to its age"),
        ((0, 4, 10), "no repeat purchase but a recency"),
        ((0, 0, -1), "recency outside 0 to its age"),
        ((float("nan"), 0, 1), "empty or endless"),
        ((0, 0, float("inf")), "empty or endless"),
    ],
)
def test_a_wrong_row_is_named(row: Row, words: str) -> None:
    columns = np.array([(0, 0, 5), row, (2, 3, 9)], dtype=float).T
    with pytest.raises(StatisticsError, match=rf"customer 1 \(from 0; 1 such in all\).*{words}"):
        Customers.of(*columns)


def test_columns_of_unlike_length_are_refused() -> None:
    with pytest.raises(StatisticsError, match="three columns of one length"):
        Customers.of([1, 2], [1], [2])
    with pytest.raises(StatisticsError, match="two columns of one length"):
        Spending.of([1, 2], [1])


def test_equal_histories_are_grouped_and_found_again() -> None:
    rng = np.random.default_rng(1)
    for scale in (1.0, 0.25, 1e7):  # whole numbers, fractions, and numbers that need levels
        frequency = rng.integers(0, 4, 500)
        recency = np.where(frequency > 0, rng.integers(0, 6, 500), 0) * scale
        age = recency + rng.integers(0, 5, 500) * scale
        histories = Customers.of(frequency, recency, age).histories
        for given, grouped in (
            (frequency, histories.frequency),
            (recency, histories.recency),
            (age, histories.age),
        ):
            assert (grouped[histories.position] == given).all()
        rows = set(zip(histories.frequency, histories.recency, histories.age, strict=True))
        assert len(rows) == len(histories.age) < 200
        assert (histories.count == np.bincount(histories.position)).all()
        x, T, position = histories.without_recency()  # noqa: N806
        assert (x[position] == histories.frequency).all()
        assert (T[position] == histories.age).all()
        assert len(set(zip(x, T, strict=True))) == len(x)


def test_nobody_has_no_histories() -> None:
    histories = Customers.of([], [], []).histories
    assert len(histories.age) == len(histories.position) == len(histories.count) == 0
