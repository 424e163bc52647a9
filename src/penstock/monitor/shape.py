"""What the properties of events look like: paths, types, examples."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from penstock.events.validation import heal_surrogates
from penstock.monitor.masks import DATE, Masks, safe_key

__all__ = ["MOST_EXAMPLES", "PLACES", "TYPES", "PropertyTally", "Shapes", "type_of", "values_of"]

PLACES = ("properties", "traits", "context")
TYPES = ("string", "date", "integer", "number", "boolean", "array", "object", "null")
MOST_EXAMPLES = 3
_DEEPEST = 8
_MOST_ITEMS = 20
_MOST_VALUES = 1_000
_LONGEST_PATH = 200
Path = tuple[str, str]
"""(place, path)."""


class _Objects(msgspec.Struct, gc=False):
    properties: Any = None
    traits: Any = None
    context: Any = None


_decode = msgspec.json.Decoder(_Objects).decode


def type_of(value: Any) -> str:
    """One of ``TYPES``, by the warehouse's rules: ``1.0`` is an integer, an ISO date a date."""
    kind = type(value)
    if kind is str:
        return "date" if DATE.fullmatch(value) else "string"
    if kind is float:
        return "integer" if value.is_integer() and abs(value) < 2**63 else "number"
    return _NAMES.get(kind, "null")


_NAMES = {int: "integer", bool: "boolean", list: "array", dict: "object"}


def values_of(objects: _Objects) -> Iterator[tuple[str, str, Any]]:
    """(place, path, value) of every value; ``$`` stands for the items of an array.

    Goes eight levels down, and looks at the first twenty items of an array.
    """
    for place in PLACES:
        top = getattr(objects, place)
        if not isinstance(top, dict):
            continue
        waiting: list[tuple[str, Any, int]] = [("", top, 0)]
        while waiting:
            prefix, held, depth = waiting.pop()
            for key, value in _children(held):
                path = f"{prefix}{key}"
                yield place, path, value
                if depth < _DEEPEST and (type(value) is dict or type(value) is list):
                    waiting.append((f"{path}.", value, depth + 1))


def _children(held: Any) -> Iterator[tuple[str, Any]]:
    if type(held) is dict:
        for key, value in held.items():
            yield safe_key(key), value
    else:
        for value in held[:_MOST_ITEMS]:
            yield "$", value


def _read(payload: bytes) -> _Objects | None:
    try:
        return _decode(payload)
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        plain = json.loads(heal_surrogates(payload))
        return _Objects(*(plain.get(place) for place in PLACES))
    except (ValueError, RecursionError, AttributeError):
        return None


class PropertyTally:
    """What was seen at one path since the last flush."""

    __slots__ = ("count", "examples", "first_us", "last_us", "types")

    def __init__(self, at_us: int) -> None:
        self.count = 0
        self.types = dict.fromkeys(TYPES, 0)
        self.first_us = at_us
        self.last_us = at_us
        self.examples: list[str] = []
        """The first few, all different, in the order seen."""


class Shapes:
    """The shape of the examined events of one name since the last flush."""

    def __init__(self, masks: Masks) -> None:
        self._masks = masks
        self.examined = 0
        self.unlisted = 0
        """Values whose path is too long, and events that can't be read."""
        self.properties: dict[Path, PropertyTally] = {}

    def add(self, payload: bytes, at_us: int) -> int:
        """Look at one event; returns how many values it has."""
        self.examined += 1
        objects = _read(payload)
        if objects is None:
            self.unlisted += 1
            return 1
        values = 0
        for place, path, value in values_of(objects):
            values += 1
            if values > _MOST_VALUES or len(path) > _LONGEST_PATH:
                self.unlisted += 1
                continue
            tally = self.properties.get((place, path))
            if tally is None:
                tally = self.properties[place, path] = PropertyTally(at_us)
            self._note(tally, path, value, at_us)
        return values

    def _note(self, tally: PropertyTally, path: str, value: Any, at_us: int) -> None:
        kind = type_of(value)
        tally.count += 1
        tally.types[kind] += 1
        tally.first_us = min(tally.first_us, at_us)
        tally.last_us = max(tally.last_us, at_us)
        if len(tally.examples) < MOST_EXAMPLES and kind not in ("array", "object", "null"):
            example = self._masks.example(path, value)
            if example not in tally.examples:
                tally.examples.append(example)
