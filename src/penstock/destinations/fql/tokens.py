"""Text of triggers and conditions, cut into tokens that know their place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, cast

from penstock.errors import FqlError

__all__ = ["MAX_TEXT_BYTES", "Kind", "Token", "number_of", "path_keys", "tokenize"]

MAX_TEXT_BYTES = 5 * 1024
"""UTF-8 bytes of one trigger or condition."""

Kind = Literal["path", "word", "text", "number", "sign", "end"]
_WORDS = frozenset({"and", "or", "in", "true", "false", "null"})

_FIRST = r"(?:[A-Za-z_]|\\.)"
_LATER = r"(?:[A-Za-z0-9_-]|\\.)"
_TOKEN = re.compile(
    rf"""(?P<path>{_FIRST}{_LATER}*(?:\s*\.\s*{_LATER}+)*)
    |(?P<text>"[^"]*"|'[^']*')
    |(?P<number>[+-]?(?:\d+(?:\.\d+)?|\.\d+)(?![\d.]))
    |(?P<sign><=|>=|!=|[=<>!(),\[\]])""",
    re.VERBOSE | re.DOTALL,
)
_SPACE = re.compile(r"\s*")
_KEY_OR_DOT = re.compile(rf"\s*(\.)\s*|{_LATER}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Token:
    """One token.

    ``word`` is one of ``and``, ``or``, ``in``, ``true``, ``false`` and ``null``.
    """

    kind: Kind
    raw: str
    """As it is written, quotes and escapes included."""
    position: int
    """Index of its first character in the text."""

    @property
    def end(self) -> int:
        """Index of the character after it."""
        return self.position + len(self.raw)

    @property
    def value(self) -> str:
        """What a text holds between its quotes; there are no escapes in it."""
        return self.raw[1:-1]


def tokenize(text: str) -> list[Token]:
    """The tokens of ``text``; the last one is the end. Raises FqlError."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT_BYTES:
        raise FqlError(f"the text is longer than {MAX_TEXT_BYTES} bytes", text, 0)
    tokens: list[Token] = []
    at = _skip_space(text, 0)
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise FqlError(_unreadable(text, at), text, at)
        tokens.append(_token(found))
        at = _skip_space(text, found.end())
    tokens.append(Token("end", "", len(text)))
    return tokens


def number_of(raw: str) -> int | float:
    """The number that is written so."""
    number = Decimal(raw)
    return int(number) if number == number.to_integral_value() else float(number)


def path_keys(raw: str) -> tuple[str, ...]:
    """Keys of a path as it is written: ``properties.Cup\\ Size`` has two."""
    keys = [""]
    for part in _KEY_OR_DOT.finditer(raw):
        if part[1]:
            keys.append("")
        else:
            keys[-1] += part[0].removeprefix("\\") if len(part[0]) > 1 else part[0]
    return tuple(keys)


def _skip_space(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _token(found: re.Match[str]) -> Token:
    raw = found[0]
    if raw in _WORDS:
        return Token("word", raw, found.start())
    return Token(cast("Kind", found.lastgroup), raw, found.start())


def _unreadable(text: str, at: int) -> str:
    char = text[at]
    if char in "\"'":
        return f"this text has no closing {char}"
    if char in "+-0123456789":
        return "this is not a number"
    if char == ".":
        return "a dot needs a key on both sides"
    if char == "\\":
        return "a backslash must be followed by the character it stands before"
    if char in "&|":
        return "write `and` or `or`"
    return f"{char!r} can't stand here; in a path, put a backslash before it"
