"""Directives that change the shape of objects: @merge, @flatten and @excludeWhenNull."""

from __future__ import annotations

from collections.abc import Iterable

from penstock.destinations.mappings.values import UNDEFINED, Json

__all__ = ["flattened", "merged", "without_nulls", "without_undefined"]


def merged(operands: Iterable[Json]) -> dict[str, Json]:
    """One object with the members of all; of the same key, the last one's.

    Of lists and texts the positions are the keys; other values add nothing.
    """
    whole: dict[str, Json] = {}
    for operand in operands:
        if isinstance(operand, dict):
            whole.update(operand)
        elif isinstance(operand, list | str):
            whole.update((str(index), item) for index, item in enumerate(operand))
    return whole


def flattened(value: Json, separator: str, omit_arrays: bool) -> dict[str, Json]:
    """The leaves of ``value``, keyed by the way to them; without ``omit_arrays``, of lists too."""
    leaves: dict[str, Json] = {}

    def walk(part: Json, prefix: str) -> None:
        members: Iterable[tuple[str, Json]]
        if isinstance(part, dict):
            members = part.items()
        elif isinstance(part, list) and not omit_arrays:
            members = ((str(index), item) for index, item in enumerate(part))
        else:
            leaves[prefix] = part
            return
        for key, item in members:
            walk(item, f"{prefix}{separator}{key}" if prefix else key)

    walk(value, "")
    return leaves


def without_nulls(value: Json, missing: Json) -> Json:
    """``value`` with its null members replaced by ``missing``, at all depths but not in lists."""
    if not isinstance(value, dict):
        return value
    return {
        key: missing if item is None else without_nulls(item, missing)
        for key, item in value.items()
    }


def without_undefined(value: Json) -> Json:
    """``value`` without members that are undefined; itself when there are none."""
    if isinstance(value, dict):
        kept = {
            key: without_undefined(item) for key, item in value.items() if item is not UNDEFINED
        }
        same = len(kept) == len(value) and all(kept[key] is value[key] for key in kept)
        return value if same else kept
    if isinstance(value, list):
        items = [without_undefined(item) for item in value]
        same = all(new is old for new, old in zip(items, value, strict=True))
        return value if same else items
    return value
