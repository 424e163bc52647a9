"""What the collector adds to an event: times, the sender's ip, and the batch's envelope."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec import Raw

from penstock.events.model import ABSENT, Event, Source
from penstock.events.times import parse_instant, true_time
from penstock.events.validation import check_device, is_null, is_object

__all__ = ["Stamp", "merged"]

_CLIENT_SIDE = frozenset({"browser", "mobile"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_QUOTE = 0x22
_encode = msgspec.json.Encoder().encode


class _Context(msgspec.Struct, gc=False):
    """The few things of a context that the collector looks at."""

    ip: Raw = ABSENT
    direct: Raw = ABSENT
    device: Raw = ABSENT


_decode_context = msgspec.json.Decoder(_Context).decode
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode


class Stamp:
    """What all events of one request have in common, and putting it on them."""

    def __init__(
        self,
        received_us: int,
        source: Source,
        ip: str | None,
        sent_at: Any = None,
        context: Raw = ABSENT,
        integrations: Raw = ABSENT,
    ) -> None:
        self.received_us = received_us
        self._received = _EPOCH + timedelta(microseconds=received_us)
        self._sent = parse_instant(sent_at) if sent_at is not None else None
        self._sent_at = sent_at if self._sent is None else self._sent
        self._shift = timedelta() if self._sent is None else self._received - self._sent
        self._context = _filled(context)
        self._integrations = _filled(integrations)
        self._client_side = source.type in _CLIENT_SIDE
        self._ip = None if ip is None else b'{"ip":' + _encode(ip)

    def put(self, event: Event) -> None:
        """Set times and ip, merge the envelope in, and take out the write key.

        Raises Refusal when the context is not valid.
        """
        original = event.timestamp
        if original is None:
            original = event.original_timestamp
        moment = None if original is None else parse_instant(original)
        if event.sent_at is None:
            event.sent_at = self._sent_at
            event.timestamp = self._shifted(moment)
        else:
            sent = parse_instant(event.sent_at)
            if sent is not None:
                event.sent_at = sent
            event.timestamp = true_time(moment, sent, self._received)
        event.original_timestamp = original if moment is None else moment
        event.received_at = self._received
        event.write_key = None
        if self._context is not ABSENT:
            event.context = merged(self._context, event.context)
        if self._integrations is not ABSENT:
            event.integrations = merged(self._integrations, event.integrations)
        if event.context is not ABSENT:
            self._look_into_context(event)
        elif self._client_side and self._ip is not None:
            event.context = Raw(self._ip + b"}")

    def _shifted(self, moment: datetime | None) -> datetime:
        """``true_time`` with the envelope's sentAt."""
        if moment is None:
            return self._received
        if moment.tzinfo is UTC:
            try:
                return moment + self._shift
            except OverflowError:
                pass
        return true_time(moment, self._sent, self._received)

    def _look_into_context(self, event: Event) -> None:
        context = _decode_context(event.context)
        if context.device is not ABSENT:
            check_device(context.device)
        if self._ip is None or context.ip is not ABSENT:
            return
        if not self._client_side and (context.direct is ABSENT or bytes(context.direct) != b"true"):
            return
        sent = bytes(event.context)
        if sent[1] != _QUOTE and sent[1:].lstrip() == b"}":
            event.context = Raw(self._ip + b"}")
        else:
            event.context = Raw(self._ip + b"," + sent[1:])


def _filled(raw: Raw) -> Raw:
    """An object with something in it, else ABSENT."""
    return raw if is_object(raw) and _decode_fields(raw) else ABSENT


def merged(under: Raw, over: Raw) -> Raw:
    """Both objects, deeply; where both have a value, that of ``over`` is kept. Bytes of values
    stay as they were sent."""
    if is_null(over):
        return under
    if not (is_object(under) and is_object(over)):
        return over
    fields = _decode_fields(under)
    for key, value in _decode_fields(over).items():
        below = fields.get(key, ABSENT)
        deeper = is_object(below) and is_object(value)
        fields[key] = merged(below, value) if deeper else value
    return Raw(_encode(fields))
