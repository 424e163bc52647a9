"""Filters: what a destination gets of an event."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.destinations.filters import compile_filters
from penstock.destinations.model import Filter
from penstock.errors import ConfigurationError, FqlError

Event = dict[str, Any]


def event(number: int = 0, **changes: Any) -> Event:
    return {
        "type": "track",
        "event": "Order Completed",
        "userId": f"u{number % 50}",
        "messageId": f"m{number}",
        "properties": {
            "total": 19.5,
            "a": {"b": 1, "c": 2},
            "Cup Size": "L",
            "products": [{"id": "p1", "price": 5}, {"id": "p2", "price": 6}, "odd"],
        },
        "context": {"ip": "192.0.2.1", "page": {"url": "https://toast.test/?q=1", "path": "/"}},
        **changes,
    }


def filtered(given_event: Event, *filters: Filter) -> Event | None:
    before = copy.deepcopy(given_event)
    result = compile_filters(filters)(given_event)
    assert given_event == before, "the given event must stay as it is"
    return result


def test_without_filters_an_event_stays() -> None:
    assert filtered(event()) == event()


def test_drop_and_only() -> None:
    assert filtered(event(), Filter(drop="event = 'Order Completed'")) is None
    assert filtered(event(), Filter(drop="event = 'X'")) == event()
    assert filtered(event(), Filter(only="event = 'Order Completed'")) == event()
    assert filtered(event(), Filter(only="event = 'X'")) is None
    conflicting = (Filter(only="type = 'track'"), Filter(only="type = 'page'"))
    assert filtered(event(), *conflicting) is None
    assert filtered(event(type="page"), *conflicting) is None
    assert filtered(event(), Filter(drop="all")) is None


@pytest.mark.parametrize(
    "one",
    [
        Filter(drop="properties.a > 5"),
        Filter(only="properties.a > 5"),
        Filter(drop_properties=["userId"], when="properties.a > 5"),
        Filter(allow_properties=["properties.a"], when="properties.a > 5"),
        Filter(sample=1.0, when="properties.a > 5"),
    ],
)
def test_an_event_of_which_a_condition_can_not_be_told_is_not_sent(one: Filter) -> None:
    assert filtered(event(), one) is None


def test_properties_are_left_out_also_in_lists() -> None:
    result = filtered(
        event(),
        Filter(
            drop_properties=[
                "properties.products.price",
                "properties.a.b",
                "properties.Cup Size",
                "properties.missing.deep",
                "context.page",
                "context.page.url",
                "userId",
            ]
        ),
    )
    expected = event()
    del expected["userId"], expected["context"]["page"]
    expected["properties"] = {
        "total": 19.5,
        "a": {"c": 2},
        "products": [{"id": "p1"}, {"id": "p2"}, "odd"],
    }
    assert result == expected


def test_only_allowed_properties_stay() -> None:
    result = filtered(
        event(traits={"email": "a@toast.test"}),
        Filter(allow_properties=["properties.products.id", "properties.total.deep", "traits.x"]),
    )
    expected = event(traits={})
    expected["properties"] = {"products": [{"id": "p1"}, {"id": "p2"}]}
    assert result == expected


def test_keys_with_dots_are_escaped() -> None:
    given_event = event(properties={"a.b": 1, "a": {"b": 2}})
    result = filtered(given_event, Filter(drop_properties=["properties.a\\.b"]))
    assert result is not None
    assert result["properties"] == {"a": {"b": 2}}


def test_filters_apply_in_their_order_whatever_the_order_given() -> None:
    """What is left out is still there for every condition, and allowing comes last."""
    result = filtered(
        event(),
        Filter(allow_properties=["properties.total", "properties.a"], when="properties.a.b = 1"),
        Filter(drop_properties=["properties.a.b"]),
        Filter(only="properties.a.b = 1"),
        Filter(sample=1.0),
    )
    assert result is not None
    assert result["properties"] == {"total": 19.5, "a": {"c": 2}}


def test_a_disabled_filter_does_nothing_but_is_checked() -> None:
    assert filtered(event(), Filter(drop="all", enabled=False)) == event()
    with pytest.raises(FqlError):
        compile_filters([Filter(drop="oops(", enabled=False)])


def test_sampling_sends_its_part_and_the_same_one_each_time() -> None:
    events = [event(number) for number in range(4000)]
    first, again = (compile_filters([Filter(sample=0.25)]) for _ in range(2))
    sent = [each["messageId"] for each in events if first(each)]
    assert 850 < len(sent) < 1150
    assert sent == [each["messageId"] for each in events if again(each)]
    assert sent[:5] == ["m13", "m15", "m22", "m31", "m38"]
    more = compile_filters([Filter(sample=0.5)])
    assert all(more(each) for each in events if each["messageId"] in set(sent))


def test_sampling_by_a_path_sends_all_or_nothing_of_a_value() -> None:
    sample = compile_filters([Filter(sample=0.5, by="userId")])
    by_user: dict[str, set[bool]] = {}
    for number in range(1000):
        each = event(number)
        by_user.setdefault(each["userId"], set()).add(sample(each) is not None)
    assert all(len(fates) == 1 for fates in by_user.values())
    assert {True} in by_user.values()
    assert {False} in by_user.values()
    without = [event(number, userId=None) for number in range(200)]
    assert 50 < sum(sample(each) is not None for each in without) < 150


def test_sampling_nothing_and_all_and_only_some() -> None:
    events = [event(number) for number in range(200)]
    assert not any(map(compile_filters([Filter(sample=0)]), events))
    assert all(map(compile_filters([Filter(sample=1)]), events))
    pages_go = compile_filters([Filter(sample=0, when="type = 'track'")])
    assert pages_go(event(type="page")) == event(type="page")
    assert pages_go(event()) is None


@pytest.mark.parametrize(
    ("one", "says"),
    [
        (Filter(), "exactly one"),
        (Filter(drop="all", only="all"), "drop and only"),
        (Filter(sample=1.5), "from 0 to 1"),
        (Filter(sample=float("nan")), "from 0 to 1"),
        (Filter(drop="all", by="userId"), "`by`"),
        (Filter(only="all", when="all"), "`when`"),
        (Filter(drop="all", name="n" * 65), "64"),
        (Filter(drop="event = '" + "x" * 5120 + "'"), "5120 bytes"),
        (Filter(drop_properties=[]), "at least one path"),
        (Filter(drop_properties=["properties..a"]), "not a path"),
        (Filter(drop_properties=["messageId"]), "messageId"),
        (Filter(allow_properties=["userId"]), "userId"),
        (Filter(sample=0.5, by="a."), "not a path"),
    ],
)
def test_what_is_wrong_in_a_filter_is_refused(one: Filter, says: str) -> None:
    with pytest.raises(ConfigurationError, match="filter 2") as caught:
        compile_filters([Filter(drop="type = 'x'"), one])
    assert says in str(caught.value)


def test_a_condition_that_can_not_be_read_keeps_its_position() -> None:
    with pytest.raises(FqlError, match=r"filter 1 \(No tests\): there is no function") as caught:
        compile_filters([Filter(drop="type = 'x' or matches(event, 'a')", name="No tests")])
    assert caught.value.position == 14


def test_there_may_be_ten() -> None:
    assert compile_filters([Filter(drop="type = 'x'")] * 10)(event()) == event()
    with pytest.raises(ConfigurationError, match="10 filters, not 11"):
        compile_filters([Filter(drop="type = 'x'")] * 11)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=15,
)


@given(properties=_JSON, paths=st.lists(st.lists(st.sampled_from("abc"), min_size=1), min_size=1))
def test_leaving_out_and_allowing_share_an_event_between_them(
    properties: Any, paths: list[list[str]]
) -> None:
    """Nothing named is left by one; nothing else is left by the other."""
    given_event = event(properties=properties)
    names = [".".join(["properties", *path]) for path in paths]
    left = filtered(given_event, Filter(drop_properties=names))
    kept = filtered(given_event, Filter(allow_properties=names))
    assert left is not None
    assert kept is not None
    assert not any(_found(left["properties"], path) for path in paths)
    if isinstance(properties, dict):
        assert any(_found(kept["properties"], path) for path in paths) == any(
            _found(properties, path) for path in paths
        )
        assert filtered(kept, Filter(drop_properties=["properties." + key for key in "abc"])) == {
            **given_event,
            "properties": {},
        }


def _found(value: Any, path: list[str]) -> bool:
    if isinstance(value, list):
        return any(_found(item, path) for item in value)
    if not path:
        return True
    return (
        isinstance(value, dict)
        and path[0] in value
        and (len(path) == 1 or _found(value[path[0]], path[1:]))
    )
