"""Values at a path such as ``$.properties.products[0].price`` or ``context['user agent']``."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from penstock.destinations.mappings.values import UNDEFINED, Json, utf16_length

__all__ = ["Read", "reader", "without_root"]

Read = Callable[[Json], Json]
"""Given an event, or what stands for it, the value at a path."""

_SEPARATOR = re.compile(r"""\[(?=["'0-9])|\.|(?<=["'0-9])\]+""")
_QUOTES = str.maketrans("", "", "'\"")
_INDEX = re.compile("0|[1-9][0-9]*")


def without_root(path: str) -> str:
    """``path`` without its ``$.``."""
    return path.replace("$.", "", 1)


@lru_cache(maxsize=4096)
def reader(path: str) -> Read:
    """Compile ``path`` (without ``$.``); empty: the whole.

    What lies below null, false, 0 or an empty text is that value itself; below anything else that
    has no such key, UNDEFINED. Lists and texts have ``length`` and positions.
    """
    steps = tuple(step.translate(_QUOTES) for step in _SEPARATOR.split(path) if step)
    if path == "." or not steps:
        return _whole
    if len(steps) == 1:
        return _one(*steps)
    if len(steps) == 2:
        return _two(*steps)
    return _many(steps)


def _whole(value: Json) -> Json:
    return value


def _one(key: str) -> Read:
    def read(value: Json) -> Json:
        return value.get(key, UNDEFINED) if type(value) is dict else _step(value, key)

    return read


def _two(first: str, second: str) -> Read:
    def read(value: Json) -> Json:
        value = value.get(first, UNDEFINED) if type(value) is dict else _step(value, first)
        return value.get(second, UNDEFINED) if type(value) is dict else _step(value, second)

    return read


def _many(steps: tuple[str, ...]) -> Read:
    def read(value: Json) -> Json:
        for key in steps:
            value = value.get(key, UNDEFINED) if type(value) is dict else _step(value, key)
        return value

    return read


def _step(value: Json, key: str) -> Json:
    if type(value) is list or (type(value) is str and value):
        return _element(value, key)
    return UNDEFINED if value else value


def _element(value: list[Json] | str, key: str) -> Json:
    if key == "length":
        return utf16_length(value) if isinstance(value, str) else len(value)
    if _INDEX.fullmatch(key) and len(key) < 16 and int(key) < len(value):
        return value[int(key)]
    return UNDEFINED
