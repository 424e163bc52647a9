"""What an argument of a directive must be, and the error that says where it is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from penstock.destinations.contract import InvalidPayload
from penstock.destinations.mappings.values import Json, article, type_name, utf16_length
from penstock.errors import ConfigurationError

__all__ = [
    "Compile",
    "MappingError",
    "Node",
    "Place",
    "is_directive",
    "members",
    "optional_flag",
    "text",
    "text_or_directive",
]


class MappingError(ConfigurationError):
    """A mapping can't be used.

    ``path`` is the way to the part at fault, such as ``total.@if.then``; ``problem`` says what is
    wrong with it. The message has both.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}" if path else problem)
        self.path = path
        self.problem = problem


@dataclass(frozen=True)
class Place:
    """Where in a mapping something stands."""

    path: tuple[str, ...] = ()
    keeps_undefined: bool = False
    """Whether undefined members are kept, as @merge needs to see them."""

    def below(self, key: str) -> Place:
        """The place of ``key`` in what stands here."""
        return replace(self, path=(*self.path, key))

    def keeping(self) -> Place:
        """This place, with undefined members kept."""
        return replace(self, keeps_undefined=True)

    def cleaning(self) -> Place:
        """This place, with undefined members left out."""
        return replace(self, keeps_undefined=False)

    def error(self, problem: str) -> MappingError:
        """What to raise for a problem here, when the mapping is compiled."""
        return MappingError(".".join(self.path), problem)

    def failure(self, problem: str) -> InvalidPayload:
        """What to raise when one event does not go with the mapping here."""
        return InvalidPayload(f"mapping {'.'.join(self.path) or 'of the payload'}: {problem}")


class Node(NamedTuple):
    """A compiled part of a mapping."""

    run: Callable[[Json], Json]
    """Given the event, what the part makes of it."""
    fixed: bool = False
    """Whether that is the same for every event."""


Compile = Callable[[Json, Place], Node]


def is_directive(value: Json) -> bool:
    """Whether it is an object with a key that begins with @."""
    return isinstance(value, dict) and any(key.startswith("@") for key in value)


def members(value: Json, place: Place, needed: str) -> dict[str, Json]:
    """``value``, which must be an object with the key ``needed`` and no directive itself."""
    if is_directive(value):
        key = next(key for key in value if key.startswith("@"))
        raise place.error(f"takes an object with {_quoted(needed)}, not the directive {key}")
    if not isinstance(value, dict):
        raise place.error(f"takes an object with {_quoted(needed)}, not {_kind(value)}")
    if needed not in value:
        raise place.error(f"needs {_quoted(needed)}")
    return value


def text(
    options: dict[str, Json], key: str, place: Place, *, shortest: int = 0, longest: int
) -> str:
    """The text that ``options`` has at ``key``; lengths in UTF-16 units."""
    value = options[key]
    at = place.below(key)
    if not isinstance(value, str):
        raise at.error(f"must be a text, not {_kind(value)}")
    if utf16_length(value) < shortest:
        raise at.error("must not be empty")
    if utf16_length(value) > longest:
        raise at.error(f"must have at most {longest} characters")
    return value


def optional_flag(options: dict[str, Json], key: str, place: Place, default: bool) -> bool:
    """The true or false that ``options`` has at ``key``, or ``default``."""
    value = options.get(key, default)
    if not isinstance(value, bool):
        raise place.below(key).error(f"must be true or false, not {_kind(value)}")
    return value


def text_or_directive(value: Json, place: Place) -> None:
    """Raise MappingError unless it is a text or a directive."""
    if not isinstance(value, str) and not is_directive(value):
        raise place.error(f"must be a text or a directive, not {_kind(value)}")


def _kind(value: Json) -> str:
    return "a directive" if is_directive(value) else article(type_name(value))


def _quoted(key: str) -> str:
    return json.dumps(key)
