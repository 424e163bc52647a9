"""What is personal, or may be, and is never kept as an example."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["DATE", "MASKED", "Masks", "looks_personal", "safe_key"]

MASKED = "***"
DATE = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d(?::?\d\d)?))?", re.ASCII
)
"""A full date, or date and time with offset."""
_LONGEST = 60
_LOOKED_AT = 500
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_PREFIX_FROM = 4
"""Words of so many letters also stand for longer ones: ``birth`` for ``birthday``."""
_PERSONAL = (
    re.compile(r"\S@\S|%40"),  # e-mail
    re.compile(r"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b"),
    re.compile(r"[0-9a-fA-F]*:[0-9a-fA-F]*:[0-9a-fA-F:]*[0-9a-fA-F]"),  # IPv6
    re.compile(r"(?:[\s().+/_#-]*\d){7}"),  # phone and card numbers, ids of people
    re.compile(r"(?=[\w=+-]*\d)(?=[\w=+-]*[A-Za-z])[\w=+-]{20}", re.ASCII),  # tokens
)


def looks_personal(text: str) -> bool:
    """Whether a text holds what may be an address, a phone or card number, or a token."""
    if DATE.fullmatch(text):
        return False
    return any(pattern.search(text) for pattern in _PERSONAL)


class Masks:
    """Decides which example values are kept, by name and by value."""

    def __init__(self, words: str) -> None:
        """Take the words that make a name personal, comma-separated."""
        listed = [word.strip().lower() for word in words.split(",")]
        self._words = frozenset(filter(None, listed))
        self._beginnings = tuple(word for word in self._words if len(word) >= _PREFIX_FROM)
        self._known = lru_cache(4_096, typed=True)(self._example)

    def is_personal(self, path: str) -> bool:
        """Whether a path names something personal."""
        words = [word.lower() for word in _WORDS.findall(path)]
        return any(word in self._words or word.startswith(self._beginnings) for word in words)

    def example(self, path: str, value: str | float) -> str:
        """The value as short text, or ``***``."""
        if isinstance(value, str) and len(value) > _LOOKED_AT:
            return MASKED
        return self._known(path, value)

    def _example(self, path: str, value: str | float) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        text = str(value)
        if isinstance(value, str) and "://" in text:
            text = re.split(r"[?#]", text, maxsplit=1)[0]
        if self.is_personal(path) or looks_personal(text):
            return MASKED
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


@lru_cache(10_000)
def safe_key(key: str) -> str:
    """A key as it may stand in a path: objects keyed by e-mail addresses exist."""
    return MASKED if looks_personal(key) else key
