"""What strict fakes of tools are made of: shapes that refuse whatever their tool does not name.

A fake is a function from a request, as it would be sent, to an answer; it raises Wrong with the
place and the reason, which `ask` makes the answer the tool would give.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from penstock.destinations.contract import (
    Answer,
    Call,
    Destination,
    Failure,
    Refused,
    Request,
    Skipped,
)
from penstock.destinations.sending.dry import is_accepted, refused_by

__all__ = [
    "NOW",
    "Check",
    "Driven",
    "Fake",
    "Json",
    "Wrong",
    "anything",
    "boolean",
    "drive",
    "integer",
    "list_of",
    "nonempty",
    "number",
    "object_of",
    "one_of",
    "sha256",
    "text",
]

Json = Any
Check = Callable[[Json, str], None]
"""Raises Wrong when the value at the place is not as it should be."""
NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


class Wrong(Exception):
    """The tool would refuse this."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


Fake = Callable[[Request], Answer]


@dataclass
class Driven:
    """What became of a call."""

    requests: list[Request] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    """What the fake found wrong."""
    failures: Mapping[int, Failure] = field(default_factory=dict)
    error: Refused | None = None
    skipped: bool = False
    """Whether there was nothing to send."""


def drive(definition: Destination, slug: str, call: Call, fake: Fake, token: str = "") -> Driven:
    """Perform the action against the fake."""
    driven = Driven()
    steps = definition.action(slug).build(call)
    try:
        built = next(steps)
        while True:
            assert isinstance(built, Request)
            request = (
                definition.authorize(built, call.settings, token) if definition.authorize else built
            )
            driven.requests.append(request)
            answer = _ask(fake, request, driven)
            built = (
                steps.send(answer)
                if is_accepted(built, answer)
                else steps.throw(refused_by(answer))
            )
    except StopIteration as done:
        driven.failures = done.value or {}
    except Refused as error:
        driven.error = error
    except Skipped:
        driven.skipped = True
    return driven


def _ask(fake: Fake, request: Request, driven: Driven) -> Answer:
    try:
        return fake(request)
    except Wrong as wrong:
        driven.refusals.append(str(wrong))
        body = json.dumps({"error": {"message": str(wrong)}}).encode()
        return Answer(wrong.status, {"content-type": "application/json"}, body)


def text(value: Json, place: str) -> None:
    """A text, possibly empty."""
    if not isinstance(value, str):
        raise Wrong(f"{place} is no text: {value!r}")


def nonempty(value: Json, place: str) -> None:
    """A text that is not empty."""
    text(value, place)
    if not value:
        raise Wrong(f"{place} is empty")


def number(value: Json, place: str) -> None:
    """A number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Wrong(f"{place} is no number: {value!r}")


def integer(value: Json, place: str) -> None:
    """A whole number."""
    number(value, place)
    if not float(value).is_integer():
        raise Wrong(f"{place} is no whole number: {value!r}")


def boolean(value: Json, place: str) -> None:
    """True or false."""
    if not isinstance(value, bool):
        raise Wrong(f"{place} is neither true nor false: {value!r}")


def anything(value: Json, place: str) -> None:
    """Whatever the tool does not look at."""


def sha256(value: Json, place: str) -> None:
    """64 small hexadecimal digits, and not the hash of nothing."""
    text(value, place)
    if re.fullmatch("[0-9a-f]{64}", value) is None:
        raise Wrong(f"{place} is no SHA-256 in small letters: {value!r}")
    if value.startswith("e3b0c44298fc1c149afbf4c8996fb92427ae41e4"):
        raise Wrong(f"{place} is the hash of an empty text")


def one_of(*values: Json) -> Check:
    """One of those."""

    def check(value: Json, place: str) -> None:
        if value not in values:
            raise Wrong(f"{place} is none of {values}: {value!r}")

    return check


def list_of(check: Check, most: int = 0, least: int = 1) -> Check:
    """A list of at least and at most so many; ``most`` 0: of any length."""

    def check_list(value: Json, place: str) -> None:
        if not isinstance(value, list) or len(value) < least:
            raise Wrong(f"{place} is no list, or too short: {value!r}")
        if most and len(value) > most:
            raise Wrong(f"{place} has {len(value)} elements, more than {most}")
        for index, each in enumerate(value):
            check(each, f"{place}[{index}]")

    return check_list


def object_of(known: Mapping[str, Check], required: Collection[str] = ()) -> Check:
    """An object of those keys and no other."""

    def check(value: Json, place: str) -> None:
        if not isinstance(value, dict):
            raise Wrong(f"{place} is no object: {value!r}")
        for key in required:
            if key not in value:
                raise Wrong(f"{place}.{key} is missing")
        for key, inner in value.items():
            if key not in known:
                raise Wrong(f"{place}.{key} is unknown")
            known[key](inner, f"{place}.{key}")

    return check
