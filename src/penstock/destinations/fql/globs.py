"""Patterns of ``match``."""

from __future__ import annotations

import re

__all__ = ["BadGlob", "compile_glob"]


class BadGlob(ValueError):
    """The pattern can't be read; the text says why."""


def compile_glob(pattern: str) -> re.Pattern[str]:
    """A regular expression whose ``fullmatch`` is the pattern's.

    ``*`` stands for any characters, ``?`` for one, ``[abc]`` and ``[a-z]`` for one of these, and a
    backslash takes the next character as it is. A match takes time in proportion to the pattern
    times the text at most. Raises BadGlob.
    """
    parts = [""]
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if char == "*":
            parts.append("")
            at += 1
        elif char == "[":
            one, at = _one_of(pattern, at + 1)
            parts[-1] += one
        elif char == "?":
            parts[-1] += "."
            at += 1
        else:
            literal, at = _literal(pattern, at)
            parts[-1] += re.escape(literal)
    return re.compile(_joined(parts), re.DOTALL)


def _joined(parts: list[str]) -> str:
    """Each part is looked for where it can first be found, for good: no way back."""
    if len(parts) == 1:
        return parts[0]
    first, *between, last = parts
    return first + "".join(f"(?>.*?{part})" for part in between if part) + ".*" + last


def _literal(pattern: str, at: int) -> tuple[str, int]:
    if pattern[at] != "\\":
        return pattern[at], at + 1
    if at + 1 == len(pattern):
        raise BadGlob("a backslash must be followed by the character it stands before")
    return pattern[at + 1], at + 2


def _one_of(pattern: str, at: int) -> tuple[str, int]:
    """The class whose first character is at ``at``, and where the pattern goes on."""
    if pattern[at : at + 1] in ("^", "!"):
        raise BadGlob(f"put a backslash before {pattern[at]} if it is one of the characters")
    inner = ""
    while at < len(pattern) and pattern[at] != "]":
        low, at = _literal(pattern, at)
        high = low
        if pattern[at : at + 1] == "-" and pattern[at + 1 : at + 2] not in ("", "]"):
            high, at = _literal(pattern, at + 1)
        if high < low:
            raise BadGlob(f"the range {low}-{high} is empty")
        inner += re.escape(low) if high == low else f"{re.escape(low)}-{re.escape(high)}"
    if at == len(pattern) or not inner:
        raise BadGlob("[ needs characters and a ]")
    return f"[{inner}]", at + 1
