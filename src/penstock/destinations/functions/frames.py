"""What Penstock and the process of a function say to each other, over two pipes.

Both sides import this module, the function's by its path: it needs nothing but msgspec. A frame is
its length in four bytes, low ones first, and MessagePack.
"""

from __future__ import annotations

import struct
from typing import Any, Literal

import msgspec

__all__ = [
    "FAILED",
    "LEFT",
    "PASSED",
    "REJECTED",
    "RETRY",
    "Answer",
    "Answers",
    "Fetch",
    "Fetched",
    "Load",
    "Loaded",
    "Order",
    "Run",
    "Told",
    "frame",
    "length",
]

PASSED, LEFT, RETRY, REJECTED, FAILED = range(5)
"""What became of an event: ``LEFT`` has no handler, and goes on as it is."""
_LENGTH = struct.Struct("<I")


class Load(msgspec.Struct, tag=True):
    """The user's code; answered by Loaded."""

    file: str
    source: str
    settings: dict[str, Any]


class Run(msgspec.Struct, tag=True):
    """Events, as JSON, one after the other; answered by Answers, as many as there are events."""

    events: list[bytes]


class Fetched(msgspec.Struct, tag=True):
    """The answer to a Fetch."""

    status: int
    headers: dict[str, str] = {}
    body: bytes = b""
    error: str = ""


class Loaded(msgspec.Struct, tag=True):
    """Whether the code could be loaded."""

    handlers: list[str] = []
    error: str = ""
    line: int = 0


class Answer(msgspec.Struct, array_like=True):
    """What became of one event."""

    kind: int
    events: list[bytes] = []
    """As JSON, of ``PASSED``."""
    message: str = ""
    line: int = 0
    """Of the user's file, where it failed; 0: unknown."""
    out_of_memory: bool = False
    printed: str = ""


class Answers(msgspec.Struct, tag=True):
    """Of the next events, in order."""

    answers: list[Answer]


class Fetch(msgspec.Struct, tag=True):
    """A request that the user's code wants sent; answered by Fetched."""

    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
    url: str
    headers: dict[str, str]
    body: bytes


Order = Load | Run | Fetched
Told = Loaded | Answers | Fetch
_encode = msgspec.msgpack.Encoder().encode


def frame(message: Order | Told) -> bytes:
    """A message as it is written."""
    body = _encode(message)
    return _LENGTH.pack(len(body)) + body


def length(head: bytes) -> int:
    """The length that stands in the first four bytes."""
    return int(_LENGTH.unpack(head)[0])
