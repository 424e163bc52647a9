"""The directive @liquid, by python-liquid within bounds of length, size and time."""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from penstock.destinations.mappings.checking import Place
from penstock.destinations.mappings.values import Json, text_of, utf16_length

if TYPE_CHECKING:
    from liquid import Environment

__all__ = ["DISABLED_FILTERS", "DISABLED_TAGS", "LONGEST_TEMPLATE", "liquid_template"]

LONGEST_TEMPLATE: Final = 1000
TIME_LIMIT: Final = 0.5
"""Seconds one event may take."""
SIZE_LIMIT: Final = 1_000_000
"""Most characters of a value or of what is written."""
DISABLED_TAGS: Final = ("case", "for", "include", "layout", "render", "tablerow")
DISABLED_FILTERS: Final = (
    "array_to_sentence_string",
    "concat",
    "find",
    "find_exp",
    "find_index",
    "find_index_exp",
    "group_by",
    "group_by_exp",
    "has",
    "has_exp",
    "map",
    "newline_to_br",
    "reject",
    "reject_exp",
    "reverse",
    "sort",
    "sort_natural",
    "uniq",
    "where_exp",
    "type",
)
_WIDE_FORMAT = re.compile(r"%[^a-zA-Z%]*\d{3,}")


class _Budget:
    """What one rendering may still take."""

    def __init__(self) -> None:
        self.deadline = 0.0

    def start(self) -> None:
        self.deadline = time.monotonic() + TIME_LIMIT

    def check(self, value: Any) -> Any:
        """Give ``value`` back unless it is too large or it is too late."""
        if time.monotonic() > self.deadline:
            raise _TooMuch(f"took longer than {TIME_LIMIT} s")
        if isinstance(value, str | list) and len(value) > SIZE_LIMIT:
            raise _TooMuch(f"made a value of more than {SIZE_LIMIT} characters")
        return value


class _TooMuch(Exception):
    """The template went beyond its bounds."""


def liquid_template(source: str, place: Place) -> Callable[[Json], str]:
    """Compile a template; what it makes is always a text. Raises MappingError."""
    if utf16_length(source) > LONGEST_TEMPLATE:
        raise place.error(f"must have at most {LONGEST_TEMPLATE} characters")
    try:
        from liquid.exceptions import LiquidError
    except ImportError:
        raise place.error("needs another package: pip install 'penstock[liquid]'") from None
    budget = _Budget()
    try:
        template = _environment(budget).from_string(source)
        unknown = set(template.analyze(include_partials=False).filters) - set(template.env.filters)
    except LiquidError as error:
        raise place.error(_reason(error)) from None
    if unknown:
        name = min(unknown)
        why = "must not be used here" if name in DISABLED_FILTERS else "is unknown"
        raise place.error(f"the filter {name} {why}")

    def render(event: Json) -> str:
        budget.start()
        try:
            return template.render(event if isinstance(event, dict) else {})
        except (LiquidError, _TooMuch) as error:
            raise place.failure(_reason(error)) from None

    return render


def _environment(budget: _Budget) -> Environment:
    from liquid import Environment

    class Bounded(Environment):
        output_stream_limit = SIZE_LIMIT
        local_namespace_limit = 4 * SIZE_LIMIT

    environment = Bounded()
    for tag in DISABLED_TAGS:
        environment.tags.pop(tag, None)
    environment.filters = {
        name: _bounded(name, function, budget)
        for name, function in environment.filters.items()
        if name not in DISABLED_FILTERS
    }
    environment.filters["join"] = _bounded("join", _joined, budget)
    return environment


def _joined(value: Any, separator: Any = " ") -> str:
    items = value if isinstance(value, list) else [value]
    return text_of(separator).join("" if item is None else text_of(item) for item in items)


def _bounded(name: str, function: Callable[..., Any], budget: _Budget) -> Callable[..., Any]:
    """``function``, checked before it can make something huge, and after."""

    @functools.wraps(function)
    def call(value: Any, *arguments: Any, **options: Any) -> Any:
        if name.startswith("replace") and arguments:
            longest = max(len(str(argument)) for argument in arguments)
            if len(str(value)) * longest > SIZE_LIMIT:
                raise _TooMuch(f"{name} made a value of more than {SIZE_LIMIT} characters")
        if name == "date" and arguments and _WIDE_FORMAT.search(str(arguments[0])):
            raise _TooMuch("date has a width of more than 99")
        return budget.check(function(value, *arguments, **options))

    return call


def _reason(error: Exception) -> str:
    return getattr(error, "message", None) or str(error) or type(error).__name__
