"""A condition that was written reads as it was."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.errors import ConfigurationError
from penstock.profiles.language.reading import condition_of, tree_of
from penstock.profiles.language.text import parse
from penstock.profiles.language.writing import write


@pytest.mark.parametrize(
    "text",
    [
        'did "Order Completed"',
        'did not "Order Completed" at least 3 times within 30 days',
        'did "A" where total > 20 and "odd name".deep = "x" exactly 0 times',
        'did "A" where (total > 20 or not (kind = null)) between 2 days and 1 week ago',
        'did "A" between 2026-01-01 and 2026-01-31T10:00:00Z after last "B" where x exists',
        'sum("A".total) where kind one of ("a", 1, true) >= 2.5 within 90 minutes',
        'trait plan = "gold" and (trait "in" does not exist or not in audience loyal)',
        "trait createdAt within last 2 weeks and not (trait age < 18 and trait age > 3)",
        'any of users (did "A")',
        'did "A" where not (a = 1 or (b = 2 and c = 3)) and did "B"',
        "trait x before 2026-01-31 or trait y after next 0 seconds",
    ],
)
def test_written_and_read_again(text: str) -> None:
    condition = parse(text)
    assert parse(write(condition)) == condition


def test_the_plain_form_stays_as_it_is() -> None:
    text = 'did "Order Completed" at least 3 times within 30 days and not in audience lost'
    assert write(parse(text)) == text


@pytest.mark.parametrize(
    "value",
    [
        {"op": "before", "value": "soon"},
        {"op": "before", "value": 5},
        {"op": "within last", "value": "30 days"},
        {"op": "within last", "value": None},
        {"op": "one of", "value": None},
        {"op": "=", "value": {"a": 1}},
        {"op": "=", "value": [1]},
    ],
)
def test_a_tree_may_say_no_more_than_text_may(value: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        condition_of({"is": "trait", "name": "plan", **value})


def test_a_tree_and_its_text_are_one() -> None:
    text = 'did "A" where x one of (1, "b") within 2 days or trait y within last 1 week'
    assert condition_of(tree_of(parse(text))) == parse(text)
