"""How deep JSON may be nested.

The JSON decoder gives up near Python's recursion limit of 1,000, depending on who calls it. So
that every reader of the journal can read every event, whatever its own stack, events are held
well below it.
"""

from __future__ import annotations

import re

__all__ = ["LEAST_DEEP", "MAX_DEPTH", "is_too_deep"]

MAX_DEPTH = 800
"""Levels of nesting that an event may have, itself included."""
LEAST_DEEP = 2 * MAX_DEPTH
"""Shorter JSON can't be nested deeper."""
_BRACKETS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[{]++|[\]}]++', re.DOTALL)


def is_too_deep(json: bytes) -> bool:
    """Whether valid JSON is nested deeper than MAX_DEPTH."""
    if json.count(b"{") + json.count(b"[") <= MAX_DEPTH:
        return False
    depth = 0
    for token in _BRACKETS.finditer(json):
        first = token[0][:1]
        if first in b"[{":
            depth += len(token[0])
            if depth > MAX_DEPTH:
                return True
        elif first in b"]}":
            depth -= len(token[0])
    return False
