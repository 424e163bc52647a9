"""Names of tables and columns."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["SYSTEM_TABLES", "column_name", "event_table", "quoted", "snake"]

SYSTEM_TABLES = frozenset(
    {
        "tracks", "identifies", "users", "pages", "screens",
        "groups", "accounts", "aliases", "discards",
    }
)  # fmt: skip
"""Tables whose names an event can't have."""

_UNCHANGED = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)*")
_WORD = re.compile(r"[A-Z0-9]+[a-z0-9]*|[a-z0-9]+")


def snake(text: str) -> str:
    """The name by the algorithm of go-snakecase, which Segment uses; may be empty.

    Only ASCII letters and digits survive. A word is a run of capitals and digits with the run of
    small letters and digits after it, so ``HTTPServer`` is ``httpserver``.
    """
    if _UNCHANGED.fullmatch(text):
        return text
    return "_".join(_WORD.findall(text)).lower()


@lru_cache(maxsize=100_000)
def column_name(path: tuple[str, ...]) -> str:
    """Column of a property by its path of keys, or the empty string when it has no name."""
    name = snake("_".join(path))
    return f"_{name}" if name[:1].isdigit() else name


@lru_cache(maxsize=10_000)
def event_table(event: str) -> str:
    """Table of an event by its name, or the empty string when it has no name."""
    name = snake(event)
    return f"_{name}" if name in SYSTEM_TABLES or name[:1].isdigit() else name


def quoted(name: str) -> str:
    """The name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
