"""Copies of events without some of their parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

__all__ = ["keep_only", "leave_out"]

Event = dict[str, Any]
_Tree = dict[str, Any]
"""Keys, each with the tree of what lies below; an empty tree: the key itself is meant."""
_NOTHING = object()


def leave_out(paths: Iterable[Sequence[str]]) -> Callable[[Event], Event]:
    """A function that gives an event without what lies at ``paths``.

    A path that leads into a list goes on in each of its elements.
    """
    tree = _tree(paths)
    return lambda event: _without(event, tree)


def keep_only(paths: Iterable[Sequence[str]]) -> Callable[[Event], Event]:
    """A function that gives an event with, of each key that ``paths`` begin with, only these.

    Other keys of the event stay as they are. Paths go into lists as with ``leave_out``.
    """
    tree = _tree(paths)

    def prune(event: Event) -> Event:
        result = {}
        for key, value in event.items():
            kept = _only(value, tree[key]) if key in tree else value
            if kept is not _NOTHING:
                result[key] = kept
        return result

    return prune


def _tree(paths: Iterable[Sequence[str]]) -> _Tree:
    """All paths in one; what lies below another of them adds nothing."""
    tree: _Tree = {}
    for path in sorted(paths, key=len):
        below = tree
        for key in path:
            if key in below and not below[key]:
                break
            below = below.setdefault(key, {})
    return tree


def _without(value: Any, tree: _Tree) -> Any:
    if isinstance(value, list):
        return [_without(item, tree) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _without(inner, tree[key]) if key in tree else inner
        for key, inner in value.items()
        if key not in tree or tree[key]
    }


def _only(value: Any, tree: _Tree) -> Any:
    """What of ``value`` the tree names; _NOTHING when it has no such thing."""
    if not tree:
        return value
    if isinstance(value, list):
        items = [_only(item, tree) for item in value]
        return [item for item in items if item is not _NOTHING]
    if not isinstance(value, dict):
        return _NOTHING
    kept = {key: _only(inner, tree[key]) for key, inner in value.items() if key in tree}
    return {key: inner for key, inner in kept.items() if inner is not _NOTHING}
