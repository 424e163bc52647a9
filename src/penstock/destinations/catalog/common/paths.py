"""Short ways to write the mappings that fields have by default."""

from __future__ import annotations

from penstock.destinations.contract import Json

__all__ = ["either", "elements", "path"]


def path(where: str) -> Json:
    """The value at ``where`` of the event, such as ``traits.email``."""
    return {"@path": f"$.{where}"}


def either(first: str, *others: str) -> Json:
    """The value at the first of the paths that has one; null counts as none."""
    if not others:
        return path(first)
    return {"@if": {"exists": path(first), "then": path(first), "else": either(*others)}}


def elements(where: str, **shape: str) -> Json:
    """Each element of the list at ``where``, rewritten: key → path within the element.

    A single object counts as a list of one.
    """
    return {"@arrayPath": [f"$.{where}", {key: path(inner) for key, inner in shape.items()}]}
