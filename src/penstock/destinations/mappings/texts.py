"""Directives that make texts: @template, @case, @replace and @json."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from penstock.destinations.mappings.paths import reader
from penstock.destinations.mappings.values import UNDEFINED, Json, json_text, text_of, trim

__all__ = ["changed_case", "decoded", "encoded", "replacer", "template"]

_TRIPLE = re.compile(r"\{\{\{([^}]+)\}\}\}")
_DOUBLE = re.compile(r"\{\{([^}]+)\}\}")
_DOLLAR = re.compile(r"\$[$&`']")


def template(text: str) -> Callable[[Json], str]:
    """Fills in ``{{path}}`` and ``{{{path}}}``; what is missing or null is left empty.

    As triple braces are filled in first, a value put there may itself have ``{{path}}``.
    """
    if _TRIPLE.search(text):
        return lambda event: _filled(_DOUBLE, _filled(_TRIPLE, text, event), event)
    pieces = _DOUBLE.split(text)
    if len(pieces) == 1:
        return lambda event: text
    words = pieces[::2]
    reads = [reader(trim(path)) for path in pieces[1::2]]
    rest = list(zip(reads, words[1:], strict=True))

    def fill(event: Json) -> str:
        parts = [words[0]]
        for read, after in rest:
            parts.append(_shown(read(event)))
            parts.append(after)
        return "".join(parts)

    return fill


def _filled(braces: re.Pattern[str], text: str, event: Json) -> str:
    return braces.sub(lambda found: _shown(reader(trim(found[1]))(event)), text)


def _shown(value: Json) -> str:
    return "" if value is None or value is UNDEFINED else text_of(value)


def changed_case(value: Json, operator: str) -> Json:
    """Texts in ``lower`` or ``upper`` case; anything else as it is."""
    if not isinstance(value, str):
        return value
    return value.lower() if operator == "lower" else value.upper()


def replacer(
    pairs: list[tuple[str, str]], *, ignore_case: bool, everywhere: bool
) -> Callable[[Json], Json]:
    """Replaces the first of each pair by the second, as plain text, one pair after the other.

    In a replacement ``$&`` is what was found, and ``$$`` a dollar sign. Numbers and booleans become
    texts; of anything else an empty text is made.
    """
    flags = re.IGNORECASE if ignore_case else 0
    steps = [(re.compile(re.escape(old), flags), _replacement(new)) for old, new in pairs]

    def replace(value: Json) -> str:
        if not isinstance(value, str | int | float):
            return ""
        text = text_of(value)
        for pattern, new in steps:
            text = pattern.sub(new, text, 0 if everywhere else 1)
        return text

    return replace


def _replacement(text: str) -> Callable[[re.Match[str]], str]:
    if not _DOLLAR.search(text):
        return lambda found: text

    def write(found: re.Match[str]) -> str:
        parts = {
            "$$": "$",
            "$&": found[0],
            "$`": found.string[: found.start()],
            "$'": found.string[found.end() :],
        }
        return _DOLLAR.sub(lambda sign: parts[sign[0]], text)

    return write


def encoded(value: Json) -> Json:
    """``value`` as JSON text; of undefined, undefined."""
    return UNDEFINED if value is UNDEFINED else json_text(value)


def decoded(value: Json) -> Json:
    """What a JSON text holds; other texts and values as they are."""
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError:
        return value
