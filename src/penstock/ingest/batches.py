"""Batches: their envelope, and taking them apart when they don't decode as a whole."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Raw

from penstock.events.model import ABSENT, Event
from penstock.events.validation import heal_surrogates

__all__ = ["Batch", "Envelope", "decode_batch", "take_apart"]


class Batch(msgspec.Struct, rename="camel"):
    """A batch all of whose items decode."""

    batch: list[Event]
    write_key: str | None = None
    context: Raw = ABSENT
    integrations: Raw = ABSENT
    sent_at: Any = None


class Envelope(msgspec.Struct, rename="camel"):
    """A batch whose items are looked at one by one; anything may be in its fields."""

    batch: Raw = ABSENT
    write_key: Raw = ABSENT
    context: Raw = ABSENT
    integrations: Raw = ABSENT
    sent_at: Raw = ABSENT


decode_batch = msgspec.json.Decoder(Batch).decode
_decode_envelope = msgspec.json.Decoder(Envelope).decode
_decode_items = msgspec.json.Decoder(list[Raw]).decode
_TOKEN = re.compile(
    rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[{]++|[\]}]++|,', re.DOTALL
)  # fmt: skip
_QUOTE, _COMMA, _OPENING = 0x22, 0x2C, b"[{"


def take_apart(body: bytes) -> tuple[Envelope, list[Raw]]:
    """The envelope of a batch, and its items unread, as the bytes that were sent.

    Raises msgspec.ValidationError when the body is not an object with a list ``batch``, another
    msgspec.DecodeError when it is not JSON, RecursionError when the envelope is nested too deeply.
    An item with half a surrogate pair, or nested too deeply, does no harm to the others.
    """
    try:
        envelope = _decode_envelope(body)
        return envelope, [] if envelope.batch is ABSENT else _decode_items(envelope.batch)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, RecursionError):
        begin, end, items = _find_items(body)
    envelope = _decode_envelope(heal_surrogates(body[:begin] + b"[]" + body[end:]))
    if bytes(envelope.batch) != b"[]":
        raise msgspec.ValidationError("`batch` is there twice, and the last is no list")
    raws = [Raw(item.strip()) for item in items]
    return envelope, [] if raws == [ABSENT] else raws


def _find_items(body: bytes) -> tuple[int, int, list[bytes]]:
    """(begin, end) of the last list ``batch`` at the top of the body, and its items' text."""
    depth = begin = end = start = 0
    key = b""
    items: list[bytes] = []
    for token in _TOKEN.finditer(body):
        first, at = body[token.start()], token.start()
        if first == _QUOTE:
            if depth == 1:
                key = token[0]
        elif first == _COMMA:
            if depth == 2 and begin > end:
                items.append(body[start:at])
                start = token.end()
        elif first in _OPENING:
            if depth == 1 and key == b'"batch"' and body[at : at + 1] == b"[":
                begin, start, items = at, at + 1, []
            depth += len(token[0])
        else:
            if begin > end and depth - len(token[0]) < 2:
                end = at + depth - 1
                items.append(body[start : end - 1])
            depth -= len(token[0])
    if end <= begin or depth != 0:
        raise msgspec.DecodeError("malformed JSON, or nested too deeply outside of `batch`")
    return begin, end, items
