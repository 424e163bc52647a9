"""What is kept of a person, in memory and as it is written."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = [
    "Profile",
    "SegmentState",
    "Standing",
    "decode_standing",
    "decode_state",
    "encode_standing",
    "encode_state",
    "fitting",
]

_LEAST, _GREATEST = -(1 << 63), (1 << 64) - 1
_LARGEST = 1 << 1023


class SegmentState(msgspec.Struct, array_like=True, gc=False):
    """What the events of one segment came to."""

    traits: dict[str, Any] = {}
    """Custom traits, as ``profiles.traits`` keeps them."""
    signals: dict[str, Any] = {}
    """By the key of the signal, as ``profiles.signals`` keeps them."""
    events: int = 0
    """How many there were."""
    recent: bytes = b""
    """Places of the last events in the journal, eight bytes each, oldest first."""
    first: tuple[str, str] = ("", "")
    """Message id and source of the first event."""
    last: tuple[str, str, int] = ("", "", 0)
    """Message id, source and receipt (microseconds) of the last event."""


class Standing(msgspec.Struct, array_like=True, gc=False):
    """What was concluded of a profile, and told to others."""

    audiences: dict[str, int] = {}
    """Since when it is a member, microseconds since 1970 UTC, by audience."""
    traits: dict[str, Any] = {}
    """Computed traits by slug."""
    turns: int = 0
    """How often something was told of it; makes message ids."""
    due_us: int | None = None
    """When time alone may change something."""


class Profile:
    """One person while in memory."""

    __slots__ = (
        "arrived",
        "changed",
        "concluded",
        "dirty",
        "full",
        "id",
        "ids",
        "known",
        "public_id",
        "segments",
        "standing",
        "states",
        "stored",
        "touched",
        "values",
    )

    def __init__(
        self, number: int, segments: tuple[int, ...], known: bool, standing: Standing, stored: bool
    ) -> None:
        self.id = number
        """Its oldest segment."""
        self.segments = segments
        self.known = known
        """Whether there is an id of its own, not only of a browser or device."""
        self.standing = standing
        self.stored = stored
        """Whether the standing has a row."""
        self.states: dict[int, SegmentState] = {}
        self.dirty: set[int] = set()
        """Segments whose state has to be written."""
        self.touched: set[str] = set()
        """Signals and traits (``trait NAME``) that changed since it was evaluated."""
        self.arrived: list[tuple[str, str]] = []
        """External ids that came since it was evaluated."""
        self.full = False
        """Whether all is to be evaluated, not only what was touched."""
        self.changed = False
        """Whether it has to be evaluated."""
        self.concluded = False
        """Whether the standing has to be written."""
        self.values: dict[str, Any] | None = None
        """Custom traits by name, once they were asked for; None after a change."""
        self.ids: tuple[tuple[str, str], ...] | None = None
        """External ids (type, value), once they were asked for; None after a change."""
        self.public_id = ""
        """Empty until it was asked for."""


_encode = msgspec.msgpack.Encoder().encode
decode_state = msgspec.msgpack.Decoder(SegmentState).decode
decode_standing = msgspec.msgpack.Decoder(Standing).decode


def encode_state(state: SegmentState) -> bytes:
    """As it is written; see ``fitting`` for what can't be."""
    try:
        return _encode(state)
    except OverflowError:
        return _encode(fitting(msgspec.to_builtins(state)))


def encode_standing(standing: Standing) -> bytes:
    """As it is written; see ``fitting`` for what can't be."""
    try:
        return _encode(standing)
    except OverflowError:
        return _encode(fitting(msgspec.to_builtins(standing)))


def fitting(value: Any) -> Any:
    """The same, whole numbers beyond 64 bits as the nearest number with a fraction."""
    if isinstance(value, dict):
        return {key: fitting(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [fitting(one) for one in value]
    if isinstance(value, int) and not _LEAST <= value <= _GREATEST:
        return float(value) if abs(value) < _LARGEST else None
    return value
