"""The functions of FQL, and when two values are the same.

A value is what JSON decodes to. What a function can't be told of raises Undecidable: whoever asks
must then do what is safe.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import msgspec

from penstock.destinations.fql.globs import BadGlob, compile_glob

__all__ = ["FUNCTIONS", "Function", "Kind", "Undecidable", "kind_of", "same"]

Kind = Literal["string", "number", "list", "bool", "null", "object", "any"]
"""``any``: known only when there is an event."""

_BLANK = re.compile(r"\s")
_WORD_START = re.compile(r"(?<!\S)\S")
_TRUE = frozenset({"true", "1", "t"})
_FALSE = frozenset({"false", "0", "f", ""})
_KINDS: dict[type, Kind] = {
    str: "string",
    int: "number",
    float: "number",
    list: "list",
    bool: "bool",
    type(None): "null",
    dict: "object",
}


class Undecidable(Exception):
    """The condition can't be told of this event."""


@dataclass(frozen=True)
class Function:
    """A function: what it takes, what it gives, and how."""

    takes: tuple[frozenset[Kind], ...]
    """For each argument the kinds it may have."""
    gives: Kind
    call: Callable[..., Any]
    may_be_null: bool = False
    """Whether null is given for null."""


def kind_of(value: Any) -> Kind:
    """The kind of a value; never ``any``."""
    return _KINDS[type(value)]


def same(left: Any, right: Any) -> bool:
    """Whether both are of the same kind and equal, all the way down: 1 is 1.0, but not true."""
    if type(left) is str or type(right) is str:
        return bool(left == right)
    if kind_of(left) != kind_of(right):
        return False
    if type(left) is list:
        return len(left) == len(right) and all(map(same, left, right))
    if type(left) is dict:
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return bool(left == right)


def _contains(text: str | None, part: str | None) -> bool:
    return text is not None and part is not None and part in text


def _match(text: str | None, pattern: str | None) -> bool:
    if text is None or pattern is None:
        return False
    try:
        return _glob(pattern).fullmatch(text) is not None
    except BadGlob as error:
        raise Undecidable(str(error)) from None


_glob = lru_cache(maxsize=1024)(compile_glob)


def _length(value: str | list[Any] | None) -> int:
    if value is None:
        return 0
    return len(value) if isinstance(value, list) else len(value.encode("utf-8", "surrogatepass"))


def _unless_null(change: Callable[[str], str]) -> Callable[[str | None], str | None]:
    return lambda text: None if text is None else change(text)


def _bool(value: Any) -> bool:
    if not isinstance(value, str):
        return bool(value)
    text = value.strip().lower()
    if text not in _TRUE | _FALSE:
        raise Undecidable(f"{value!r} is neither true nor false")
    return text in _TRUE


def _string(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        value = int(value)
    return msgspec.json.encode(value).decode()


def _number(value: str | float | None) -> float | None:
    if not isinstance(value, str):
        return value
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise Undecidable(f"{value!r} is not a number")
    return number


_TEXT = frozenset[Kind]({"string", "null"})
_ANY = frozenset[Kind]({"string", "number", "list", "bool", "null", "object"})


def _recasing(change: Callable[[str], str]) -> Function:
    return Function((_TEXT,), "string", _unless_null(change), may_be_null=True)


FUNCTIONS: dict[str, Function] = {
    "contains": Function((_TEXT, _TEXT), "bool", _contains),
    "match": Function((_TEXT, _TEXT), "bool", _match),
    "length": Function((_TEXT | {"list"},), "number", _length),
    "lowercase": _recasing(str.lower),
    "uppercase": _recasing(str.upper),
    "snakecase": _recasing(lambda text: _BLANK.sub("_", text)),
    "kebabcase": _recasing(lambda text: _BLANK.sub("-", text)),
    "titlecase": _recasing(lambda text: _WORD_START.sub(lambda found: found[0].upper(), text)),
    "typeof": Function((_ANY,), "string", kind_of),
    "bool": Function((_ANY - {"object"},), "bool", _bool),
    "string": Function((_ANY - {"object"},), "string", _string),
    "number": Function((frozenset({"string", "number", "null"}),), "number", _number, True),
}
"""All of them, by name."""
