"""Filters: which events, and which parts of them, a destination gets.

Sampling comes first, then drop and only, then what is left out, then what alone may stay. The
conditions of all are asked of the event as it came. Where one can't be told of an event, the event
is not sent: a mistake must not give away what a filter was there to hold back.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from penstock.destinations.fql import compile_decision
from penstock.destinations.model import Filter
from penstock.destinations.pruning import keep_only, leave_out
from penstock.errors import ConfigurationError, FqlError

__all__ = ["MAX_FILTERS", "MAX_NAME", "compile_filters"]

MAX_FILTERS = 10
MAX_NAME = 64
"""Characters of a filter's name."""

Event = dict[str, Any]
Decision = Callable[[Event], bool | None]
Step = Callable[[Event, Event], Event | None]
"""Given the event as it came and as it is by now, what becomes of it; None: not sent."""

_KINDS = ("sample", "drop", "only", "drop_properties", "allow_properties")
_WITH_WHEN = frozenset({"sample", "drop_properties", "allow_properties"})
_NEEDED = frozenset({"type", "messageId"})
_CHARACTER = re.compile(r"\\(.)|(\.)|(.)", re.DOTALL)
_OBJECTS = frozenset({"properties", "traits", "context"})


def compile_filters(filters: Sequence[Filter]) -> Callable[[Event], Event | None]:
    """A function that gives what of an event is sent, or None when it is not.

    It never changes the given event; what it gives may share parts with it. The same event always
    fares the same. Raises ConfigurationError for more than MAX_FILTERS and for what is wrong in a
    filter, whether it is enabled or not.
    """
    if len(filters) > MAX_FILTERS:
        raise ConfigurationError(
            f"a destination can have {MAX_FILTERS} filters, not {len(filters)}: join some with "
            "`and` or `or`"
        )
    by_kind: dict[str, list[Step]] = {kind: [] for kind in _KINDS}
    for number, each in enumerate(filters, 1):
        kind, step = _compile(each, number)
        if each.enabled:
            by_kind["drop" if kind == "only" else kind].append(step)
    steps = tuple(step for kind in _KINDS for step in by_kind[kind])

    def apply(event: Event) -> Event | None:
        result: Event | None = event
        for step in steps:
            if result is None:
                return None
            result = step(event, result)
        return result

    return apply


def _compile(each: Filter, number: int) -> tuple[str, Step]:
    label = f"filter {number}" + (f" ({each.name[:MAX_NAME]})" if each.name else "")
    try:
        kind = _kind(each)
        return kind, _COMPILERS[kind](each)
    except FqlError as error:
        raise FqlError(f"{label}: {error.what}", error.text, error.position) from None
    except ConfigurationError as error:
        raise ConfigurationError(f"{label}: {error}") from None


def _kind(each: Filter) -> str:
    """Which of the five it is. Raises ConfigurationError."""
    kinds = [kind for kind in _KINDS if getattr(each, kind) is not None]
    if len(kinds) != 1:
        given = " and ".join(kinds) or "none"
        raise ConfigurationError(f"give exactly one of {', '.join(_KINDS)}; there is {given}")
    if len(each.name) > MAX_NAME:
        raise ConfigurationError(f"its name is longer than {MAX_NAME} characters")
    if each.by and kinds[0] != "sample":
        raise ConfigurationError("`by` can only stand with `sample`")
    if each.when and kinds[0] not in _WITH_WHEN:
        raise ConfigurationError(f"`when` can't stand with `{kinds[0]}`: put it in the condition")
    return kinds[0]


def _drop(each: Filter) -> Step:
    decide = compile_decision(each.drop or "")
    return lambda came, event: event if decide(came) is False else None


def _only(each: Filter) -> Step:
    decide = compile_decision(each.only or "")
    return lambda came, event: event if decide(came) is True else None


def _sample(each: Filter) -> Step:
    rate = each.sample
    if rate is None or not 0 <= rate <= 1:
        raise ConfigurationError("`sample` is a part from 0 to 1: 0.1 sends a tenth")
    keys = _keys(each.by) if each.by else ("messageId",)
    bound = int(rate * 2**64)
    return _when(each.when, lambda came, event: event if _draw(came, keys) < bound else None)


def _drop_properties(each: Filter) -> Step:
    paths = [_keys(path) for path in _some(each.drop_properties)]
    for path in paths:
        if len(path) == 1 and path[0] in _NEEDED:
            raise ConfigurationError(f"{path[0]} can't be left out: delivery needs it")
    prune = leave_out(paths)
    return _when(each.when, lambda _, event: prune(event))


def _allow_properties(each: Filter) -> Step:
    paths = [_keys(path) for path in _some(each.allow_properties)]
    for path in paths:
        if len(path) == 1 or path[0] not in _OBJECTS:
            raise ConfigurationError(
                f"{'.'.join(path)}: name keys of properties, traits or context, such as "
                "properties.total; keys of the event itself always stay"
            )
    prune = keep_only(paths)
    return _when(each.when, lambda _, event: prune(event))


_COMPILERS: dict[str, Callable[[Filter], Step]] = {
    "drop": _drop,
    "only": _only,
    "sample": _sample,
    "drop_properties": _drop_properties,
    "allow_properties": _allow_properties,
}


def _when(condition: str, step: Step) -> Step:
    """``step`` for those events only; not sent at all when that can't be told."""
    if not condition:
        return step
    decide = compile_decision(condition)

    def apply(came: Event, event: Event) -> Event | None:
        applies = decide(came)
        if applies is None:
            return None
        return step(came, event) if applies else event

    return apply


def _draw(event: Event, keys: Iterable[str]) -> int:
    """A number below 2**64 that is always the same for the same value, or else messageId."""
    value: Any = event
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    if value is None:
        value = event.get("messageId")
    text = msgspec.json.encode(value, order="sorted")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def _some(paths: list[str] | None) -> list[str]:
    if not paths:
        raise ConfigurationError("name at least one path, such as properties.total")
    return paths


def _keys(path: str) -> tuple[str, ...]:
    """Keys of a path: only dots and backslashes within a key need a backslash."""
    keys = [""]
    for escaped, dot, char in _CHARACTER.findall(path):
        if dot:
            keys.append("")
        else:
            keys[-1] += escaped or char
    if not all(keys):
        raise ConfigurationError(f"{path!r} is not a path such as properties.products.price")
    return tuple(keys)
