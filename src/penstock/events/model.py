"""Events as they travel: from the wire into the journal, and out of it."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

__all__ = ["ABSENT", "CALLS", "Event", "Record", "RejectedRecord", "Source"]

CALLS = ("track", "identify", "page", "screen", "group", "alias")
"""The calls of the tracking API, by the name that stands in ``type``."""

ABSENT = Raw(b"")
"""Stands for a JSON field that was not sent; never encoded."""


def _wire_name(name: str) -> str:
    if name == "metadata":
        return "_metadata"
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


class Event(
    msgspec.Struct,
    rename=_wire_name,
    omit_defaults=True,
    forbid_unknown_fields=True,
    gc=False,
):
    """One call, its objects still as the client's own JSON bytes.

    The same struct is decoded from a request, stamped, and encoded into the journal. A request
    with other types or unknown fields does not decode into it and takes the slower, exact way
    through ``repair.repair``.
    """

    type: str | None = None
    message_id: str | None = None
    user_id: str | None = None
    anonymous_id: str | None = None
    group_id: str | None = None
    previous_id: str | None = None
    event: str | None = None
    name: str | None = None
    category: str | None = None
    properties: Raw = ABSENT
    traits: Raw = ABSENT
    context: Raw = ABSENT
    integrations: Raw = ABSENT
    timestamp: Any = None
    """Text from a client; an aware datetime once stamped."""
    original_timestamp: Any = None
    sent_at: Any = None
    received_at: Any = None
    channel: Raw = ABSENT
    version: Raw = ABSENT
    project_id: Raw = ABSENT
    metadata: Raw = ABSENT
    write_key: str | None = None


class Record(msgspec.Struct, array_like=True, gc=False):
    """An accepted event as it stands in the journal topics ``received`` and ``events``."""

    source: str
    """Slug of the source."""
    message_id: str
    received_us: int
    """Receipt, in microseconds since 1970 UTC; never runs backwards within a partition."""
    payload: bytes
    """The stamped event as JSON, without its write key."""


class RejectedRecord(msgspec.Struct, array_like=True, gc=False):
    """What was refused, and why, as it stands in the journal topic ``rejected``."""

    source: str
    """Slug of the source, or the empty string when the write key was unknown or absent."""
    received_us: int
    code: str
    """One of ``INGEST_CODES``."""
    reason: str
    """A sentence for the person who sent it."""
    path: str
    """Request path."""
    original: bytes
    """The bytes as they came: the event, or the whole body when no event could be told apart.

    Of a body beyond the limit, the part that was read.
    """


class Source(msgspec.Struct, frozen=True):
    """Where events come from; its slug is also its schema in the warehouse."""

    slug: str
    name: str
    type: str = "server"
    """browser, server, mobile, webhook or cloud; decides whether the sender's ip is kept."""
    enabled: bool = True
    write_keys: tuple[str, ...] = ()
    space: str = "default"
    rate_limit: int | None = None
    """Events per second that are taken over time; None: as many as come."""
