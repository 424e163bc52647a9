"""Conditions of filters: all of FQL."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.destinations.fql import FqlError, compile_condition, compile_decision
from penstock.destinations.fql.globs import BadGlob, compile_glob

CLICK: dict[str, Any] = {
    "event": "Button Clicked",
    "type": "track",
    "userId": None,
    "receivedAt": "2026-03-01T10:00:00Z",
    "context": {"library": {"name": "analytics.js", "version": "1.0"}},
    "properties": {
        "features": ["discounts", "dark-mode", 1, True],
        "total": 19.5,
        "count": 3,
        "paid": True,
        "product 1": {"price": "19.99"},
        "a.b": "dotted",
        "title": "the quick fox",
        "kana": "ア",
        "nothing": None,
        "object": {"x": 1},
    },
}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("event = 'Button Clicked'", True),
        ("event = 'Screen Tapped'", False),
        ("context.path.path = '/login'", False),
        ("type = 'identify' or type = 'track'", True),
        ("match( context.library.version, '1.*' )", True),
        ("match( context.library.version, '2.*' )", False),
        ("type = 'track' and ( event = 'Click' or match( event, 'Button *' ) )", True),
        ("!contains( context.library.name, 'js' )", False),
        ("'dark-mode' in properties.features", True),
        ("'blink' in properties.features", False),
        ("1.0 in properties.features and true in properties.features", True),
        ("1 in [true]", False),
        ("'x' in properties.missing", False),
        ("!( type in ['track', \"identify\"] )", False),
        ("type = 'page' and type = 'x' or type = 'track'", True),
        ("properties.product\\ 1.price = '19.99'", True),
        ("properties.a\\.b = 'dotted'", True),
        ("properties.total > 19 and properties.total <= 19.5", True),
        ("properties.missing > 1 or properties.nothing < 1", False),
        ("properties.paid", True),
        ("properties.missing", False),
        ("!properties.missing", True),
        ("properties.paid = 1", False),
        ("properties.paid != 1", True),
        ("properties.count = 3.0", True),
        ("properties.nothing = null and userId = properties.missing", True),
        ("properties.features = ['discounts', 'dark-mode', 1, true]", True),
        ("properties.features = ['discounts', 'dark-mode', 1, 1]", False),
        ("received_at >= '2026-02-01' and receivedAt < '2026-04-01'", True),
        ("length( properties.features ) = 4 and length( properties.kana ) = 3", True),
        ("length( userId ) > 0", False),
        ("lowercase( event ) = 'button clicked' and uppercase( type ) = 'TRACK'", True),
        ("lowercase( null ) = null", True),
        ("snakecase( properties.title ) = 'the_quick_fox'", True),
        ("kebabcase( properties.title ) = 'the-quick-fox'", True),
        ("titlecase( properties.title ) = 'The Quick Fox'", True),
        ("typeof( event ) = 'string' and typeof( properties.total ) = 'number'", True),
        ("typeof( properties.features ) = 'list' and typeof( properties.paid ) = 'bool'", True),
        ("typeof( properties.missing ) = 'null'", True),
        ("bool( properties.count ) and bool( 'true' ) and !bool( null )", True),
        ("string( properties.total ) = '19.5' and string( properties.count ) = '3'", True),
        ("number( properties.product\\ 1.price ) > 19.9", True),
        ("contains( null, 'x' ) or match( properties.missing, '*' )", False),
        ("!!properties.paid and !!!properties.missing", True),
        ("( length( event ) ) = 14", True),
        ("all", True),
    ],
)
def test_conditions_hold(condition: str, holds: bool) -> None:
    assert compile_condition(condition)(CLICK) is holds


@pytest.mark.parametrize(
    "condition",
    [
        "properties.title > 5",
        "properties.title and type = 'track'",
        "!event",
        "event",
        "contains( properties.total, '1' )",
        "length( properties.object ) > 0",
        "'x' in event",
        "properties.features in properties.features",
        "number( event ) > 1",
        "bool( event )",
        "match( event, properties.pattern )",
        "!( properties.paid > properties.total )",
    ],
)
def test_what_can_not_be_told_is_false_and_known_to_be_so(condition: str) -> None:
    event = {**CLICK, "properties": {**CLICK["properties"], "pattern": "[a"}}
    assert compile_condition(condition)(event) is False
    assert compile_decision(condition)(event) is None


@pytest.mark.parametrize(
    ("condition", "position", "says"),
    [
        ('userId = oops"', 13, "closing"),
        ("event = 'a' and", 15, "value"),
        ("event = 'a' AND type = 'b'", 12, "small letters"),
        ("contans( event, 'a' )", 0, "contains"),
        ("contains( event )", 0, "2 arguments"),
        ("length( event )", 0, "number"),
        ("'text'", 0, "string"),
        ("type = 'a' and 5", 15, "number"),
        ("event > true", 6, "compares"),
        ("lowercase( 5 ) = 'x'", 11, "number"),
        ("'a' in 'abc'", 7, "list"),
        ("match( event, '[a' )", 14, "]"),
        ("type = 'a' = 'b'", 11, "chained"),
        ("(type = 'a'", 0, "no )"),
        ("type = 'a' )", 11, "no ("),
        ("type in ['a' 'b']", 13, "comma"),
        ("", 0, "value"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(condition: str, position: int, says: str) -> None:
    with pytest.raises(FqlError) as caught:
        compile_condition(condition)
    assert caught.value.position == position
    assert says in caught.value.what


@given(st.text("type='a'()!,andor .<>[]\\5", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        decide = compile_decision(text)
    except FqlError as error:
        assert 0 <= error.position <= len(text)
        return
    assert decide(CLICK) in (True, False, None)


def test_depth_is_bounded() -> None:
    for text in ("(" * 1000 + "true" + ")" * 1000, "bool(" * 500 + "1" + ")" * 500):
        with pytest.raises(FqlError, match="deep"):
            compile_condition(text)
    assert compile_condition("!" * 4001 + "false")(CLICK)


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("a*d", "abcd", True),
        ("*", "", True),
        ("ab", "abc", False),
        ("a??d", "abcd", True),
        ("*d", "abcd", True),
        ("ab\\*d", "ab*d", True),
        ("ab\\*d", "abcd", False),
        ("ab[cC]d", "abCd", True),
        ("ab[a-z]d", "abcd", True),
        ("ab[A-Z]d", "abcd", False),
        ("[\\]a\\-z]", "-", True),
        ("[\\]a\\-z]", "b", False),
        ("a*b*c", "a\nbxbc", True),
        ("a*b*c", "acb", False),
        ("*ab*ab", "ab", False),
        ("*ab*ab*", "xabab", True),
        ("a**b", "ab", True),
        ("(a|b).+", "(a|b).+", True),
        ("A", "a", False),
    ],
)
def test_globs(pattern: str, text: str, matches: bool) -> None:
    assert (compile_glob(pattern).fullmatch(text) is not None) is matches


@pytest.mark.parametrize("pattern", ["[", "[]", "[abc", "a\\", "[z-a]", "[^a]", "[!a]"])
def test_globs_that_can_not_be_read(pattern: str) -> None:
    with pytest.raises(BadGlob):
        compile_glob(pattern)


def test_a_glob_of_many_stars_does_not_take_for_ever() -> None:
    """With a regular expression that goes back, this takes longer than the universe."""
    began = time.monotonic()
    glob = compile_glob("*a" * 40 + "*b")
    assert glob.fullmatch("a" * 20_000) is None
    assert time.monotonic() - began < 60
