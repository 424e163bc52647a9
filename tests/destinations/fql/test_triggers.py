"""Triggers: what they mean, where they are wrong, and how they are written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.destinations.fql import FqlError, compile_trigger, generate, parse_trigger
from penstock.destinations.fql.tokens import MAX_TEXT_BYTES
from penstock.errors import ConfigurationError

ORDER = {
    "type": "track",
    "event": "Order Completed",
    "userId": "u1",
    "properties": {"total": 19.5, "paid": True, "Cup Size": "L", "items": [{"id": "a"}]},
    "context": {"page": {"path": "/done"}},
}


@pytest.mark.parametrize(
    ("trigger", "matches"),
    [
        ('type = "track" and event = "Order Completed"', True),
        ('type = "track" and event != "Order Completed"', False),
        ('traits.email != "a@b.test"', True),
        ("properties.total = 19.5", True),
        ('properties.total = "19.5"', False),
        ("properties.total > 10 and properties.paid = true", True),
        ("properties.coupon = null and userId != null", True),
        ('!contains(properties.coupon, "x")', False),
        ('contains(context.page.path, "one")', True),
        ('match(event, "Order*") and match(event, "*Completed")', True),
        ('properties.Cup\\ Size = "L"', True),
        ('properties.items\\[0\\].id = "a"', True),
        ('type = "page" or (type = "track" and (event = "X" or properties.total >= 19.5))', True),
        ('type = "track" and (!contains(event, "Order") or userId = "u2")', False),
    ],
)
def test_triggers_match(trigger: str, matches: bool) -> None:
    assert compile_trigger(trigger)(ORDER) is matches
    assert compile_trigger(trigger, imported=True)(ORDER) is matches


@pytest.mark.parametrize(
    ("trigger", "position", "says"),
    [
        ('type = "a" and event = "b" or name = "c"', 27, "mixed"),
        ('type = "a" and (event = "b" or name = "c" and name = "d")', 42, "mixed"),
        ('type = "a', 7, "closing"),
        ('type = "a" AND event = "b"', 11, "small letters"),
        ('type = "a" && event = "b"', 11, "`and`"),
        ("type = 'a'", 7, "double quotes"),
        ('(type = "a"', 0, "no )"),
        ('type = "a")', 10, "no ("),
        ("propertys.total = 5", 0, "propertys"),
        ('match(event, "Foo")', 13, "text*"),
        ("event = null", 8, '"null"'),
        ("", 0, "condition"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(trigger: str, position: int, says: str) -> None:
    with pytest.raises(FqlError) as caught:
        compile_trigger(trigger)
    assert isinstance(caught.value, ConfigurationError)
    assert caught.value.position == position
    what, line, caret = str(caught.value).rsplit("\n", 2)
    assert says in what
    assert f"(position {position})" in what
    assert line == f"  {trigger}"
    assert caret.index("^") == position + 2


def test_the_caret_stays_below_its_place_in_a_long_text_of_many_lines() -> None:
    text = 'type = "a" and\n' + 'event != "b" and ' * 20 + "oops = 5"
    with pytest.raises(FqlError) as caught:
        compile_trigger(text)
    _, line, caret = str(caught.value).rsplit("\n", 2)
    assert len(line) < 110
    assert line[caret.index("^") :].startswith("oops")


def test_a_text_that_is_too_long_or_too_deep_is_refused() -> None:
    with pytest.raises(FqlError, match="5120 bytes"):
        compile_trigger('event = "' + "x" * MAX_TEXT_BYTES + '"')
    with pytest.raises(FqlError, match="50 deep"):
        compile_trigger("(" * 2000 + 'type = "a"' + ")" * 2000)
    assert compile_trigger("(" * 50 + 'type = "track"' + ")" * 50)(ORDER)


def test_the_last_connective_governs_what_is_imported() -> None:
    mixed = 'type = "page" and event = "X" or userId = "u1"'
    assert compile_trigger(mixed, imported=True)(ORDER)
    assert not compile_trigger('userId = "u1" or event = "X" and type = "page"', imported=True)(
        ORDER
    )
    plain = generate(parse_trigger(mixed, imported=True))
    assert plain == 'type = "page" or event = "X" or userId = "u1"'


@given(st.text(max_size=60) | st.text("type=\"a()!,andor .<>\\'5[]", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    for imported in (False, True):
        try:
            node = parse_trigger(text, imported=imported)
        except FqlError as error:
            assert 0 <= error.position <= len(text)
            continue
        assert compile_trigger(text, imported=imported)(ORDER) in (True, False)
        if not imported:
            assert parse_trigger(generate(node)) == node


def test_odd_events_are_judged_too() -> None:
    test = compile_trigger('properties.a.b.length > 0 or contains(traits.x.0, "z")')
    odd: list[Any] = [None, 5, "text", [], [[]], {"a": [5]}, {"a": {"b": "é"}}, True]
    assert [test({"properties": value, "traits": value}) for value in odd] == [
        *(False,) * 6,
        True,
        False,
    ]
