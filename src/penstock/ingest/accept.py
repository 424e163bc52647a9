"""From the bytes of a request to records for the journal, and refusals with their reasons."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec import Raw

from penstock.events.model import ABSENT, Event, Record, RejectedRecord, Source
from penstock.events.times import parse_instant, true_time
from penstock.events.validation import (
    Refusal,
    check,
    cut_properties,
    decode_object,
    heal_surrogates,
    repair,
    with_extras,
)

__all__ = ["Acceptance", "Acceptor", "BadRequest", "Request"]

_CLIENT_SIDE = frozenset({"browser", "mobile"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_encode = msgspec.json.Encoder().encode
_decode_event = msgspec.json.Decoder(Event).decode


class _Batch(msgspec.Struct, rename="camel"):
    batch: list[Event]
    write_key: str | None = None
    context: Raw = ABSENT
    integrations: Raw = ABSENT
    sent_at: Any = None


class _LooseBatch(msgspec.Struct, rename="camel"):
    batch: Raw = ABSENT
    write_key: Any = None
    context: Raw = ABSENT
    integrations: Raw = ABSENT
    sent_at: Any = None


_decode_batch = msgspec.json.Decoder(_Batch).decode
_decode_loose = msgspec.json.Decoder(_LooseBatch).decode
_decode_items = msgspec.json.Decoder(list[Raw]).decode


class BadRequest(Exception):
    """The whole request is refused: HTTP status, code and message for its sender."""

    def __init__(self, status: int, code: str, message: str, *, source: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.source = source


@dataclass(frozen=True, slots=True)
class Request:
    """What the HTTP side knows of a request."""

    path: str
    call: str
    """One of the six calls, or ``batch``."""
    body: bytes
    header_key: str | None
    """Write key from the Authorization header."""
    ip: str | None


@dataclass(slots=True)
class Acceptance:
    """The outcome of a request whose envelope could be read."""

    received_us: int
    records: list[Record] = field(default_factory=list)
    rejected: list[RejectedRecord] = field(default_factory=list)
    refusals: list[tuple[int, str, str]] = field(default_factory=list)
    """(index in the batch, code, message) of each item refused."""


def _new_id() -> str:
    return f"penstock-{os.urandom(16).hex()}"


def _now_us() -> int:
    return time.time_ns() // 1000


class Acceptor:
    """Turns requests into records.

    ``received_us`` never runs backwards within one Acceptor: a clock set back is held at the
    latest time seen, because the dedupe window counts by it.
    """

    def __init__(
        self,
        find_source: Callable[[str], Source | None],
        *,
        max_event_bytes: int,
        max_batch_items: int,
        unknown_key_status: int = 401,
        clock: Callable[[], int] = _now_us,
        new_id: Callable[[], str] = _new_id,
        latest_us: int = 0,
    ) -> None:
        self._find_source = find_source
        self._max_event = max_event_bytes
        self._max_items = max_batch_items
        self._unknown_status = unknown_key_status
        self._clock = clock
        self._new_id = new_id
        self._latest_us = latest_us

    def now_us(self) -> int:
        """Time of receipt, microseconds since 1970; never earlier than the one before."""
        self._latest_us = max(self._latest_us, self._clock())
        return self._latest_us

    def accept(self, request: Request) -> Acceptance:
        """Read, check and stamp the events of a request.

        Raises BadRequest when the request as a whole is refused.
        """
        body = request.body
        if not body.isascii():
            try:
                body.decode()
            except UnicodeDecodeError as error:
                raise BadRequest(400, "invalid_json", f"the body is not UTF-8: {error}") from error
            body = body.removeprefix(b"\xef\xbb\xbf")
        if request.call == "batch":
            return self._accept_batch(request, body)
        return self._accept_single(request, body)

    def rejected(self, request: Request, bad: BadRequest) -> RejectedRecord:
        """The record of a request that was refused as a whole."""
        return RejectedRecord(
            bad.source, self.now_us(), bad.code, bad.message, request.path, request.body
        )

    # One event ------------------------------------------------------------------------------

    def _accept_single(self, request: Request, body: bytes) -> Acceptance:
        if len(body) > self._max_event:
            raise BadRequest(
                400, "too_large", f"an event may have {self._max_event} bytes, not {len(body)}"
            )
        extras: dict[str, Raw] = {}
        try:
            event = _decode_event(body)
        except msgspec.ValidationError:
            event, extras = self._repair_single(request, body)
        except (msgspec.DecodeError, RecursionError) as error:
            body = _healed(body, error)
            event, extras = self._repair_single(request, body)
        source = self._source(request.header_key or event.write_key)
        stamp = _Stamp(self.now_us(), request, source)
        outcome = Acceptance(stamp.received_us)
        event.type = request.call
        self._add_or_refuse(outcome, stamp, 0, event, extras, body)
        return outcome

    def _repair_single(self, request: Request, body: bytes) -> tuple[Event, dict[str, Raw]]:
        try:
            return repair(body)
        except Refusal as refusal:
            if refusal.code == "bad_request":
                raise BadRequest(400, "invalid_json", "the body must be a JSON object") from refusal
            source = self._source(request.header_key or _write_key_of(body))
            raise _RefusedSingle(refusal, source.slug) from refusal

    # A batch --------------------------------------------------------------------------------

    def _accept_batch(self, request: Request, body: bytes) -> Acceptance:
        try:
            batch = _decode_batch(body)
        except msgspec.ValidationError:
            return self._accept_loose(request, body)
        except (msgspec.DecodeError, RecursionError) as error:
            return self._accept_loose(request, _healed(body, error))
        items = batch.batch
        key = request.header_key or batch.write_key or _first_key(items)
        source = self._source(key)
        self._check_count(len(items), source)
        stamp = _Stamp(
            self.now_us(), request, source, batch.sent_at, batch.context, batch.integrations
        )
        outcome = Acceptance(stamp.received_us)
        in_doubt = self._max_event if len(body) > self._max_event else 1 << 62
        try:
            for event in items:
                if (
                    self._add(outcome, stamp, event, {})
                    or len(outcome.records[-1].payload) > in_doubt
                ):
                    return self._accept_loose(request, body)
        except Refusal:
            # One item is refused: again, item by item, so that its own bytes can be kept.
            return self._accept_loose(request, body)
        return outcome

    def _accept_loose(self, request: Request, body: bytes) -> Acceptance:
        """A batch with an item that does not decode: item by item."""
        try:
            batch = _decode_loose(body)
            raws = [] if batch.batch is ABSENT else _decode_items(batch.batch)
        except msgspec.DecodeError as error:
            raise BadRequest(
                400, "invalid_json", f"the body must be an object with a list `batch`: {error}"
            ) from error
        body_key = batch.write_key if isinstance(batch.write_key, str) else None
        key = request.header_key or body_key
        if key is None and raws:
            key = _write_key_of(raws[0])
        source = self._source(key)
        self._check_count(len(raws), source)
        stamp = _Stamp(
            self.now_us(), request, source, batch.sent_at, batch.context, batch.integrations
        )
        outcome = Acceptance(stamp.received_us)
        for index, raw in enumerate(raws):
            original = bytes(raw)
            try:
                if len(original) > self._max_event:
                    raise Refusal(
                        "too_large",
                        f"an event may have {self._max_event} bytes, not {len(original)}",
                    )
                event, extras = repair(raw)
            except Refusal as refusal:
                self._refuse(outcome, stamp, index, refusal, original)
                continue
            self._add_or_refuse(outcome, stamp, index, event, extras, original)
        return outcome

    def _check_count(self, count: int, source: Source) -> None:
        if count == 0:
            raise BadRequest(200, "empty_batch", "the batch holds no events", source=source.slug)
        if count > self._max_items:
            raise BadRequest(
                200,
                "too_many_items",
                f"a batch may hold {self._max_items} events, not {count}; none was accepted",
                source=source.slug,
            )

    # Common ---------------------------------------------------------------------------------

    def _source(self, key: str | None) -> Source:
        if not key:
            raise BadRequest(
                self._unknown_status,
                "unknown_source",
                "no write key: send it as Basic user name, as writeKey in the body or the query",
            )
        source = self._find_source(key)
        if source is None:
            raise BadRequest(
                self._unknown_status, "unknown_source", f"no source has the write key {key!r}"
            )
        if not source.enabled:
            raise BadRequest(
                200, "source_disabled", f"source {source.slug} is disabled", source=source.slug
            )
        return source

    def _add_or_refuse(
        self,
        outcome: Acceptance,
        stamp: _Stamp,
        index: int,
        event: Event,
        extras: dict[str, Raw],
        original: bytes,
    ) -> None:
        try:
            dropped = self._add(outcome, stamp, event, extras)
        except Refusal as refusal:
            self._refuse(outcome, stamp, index, refusal, original)
            return
        for name, rest in dropped.items():
            too_many = Refusal("too_many_properties", f"{name} beyond 10,000 were not kept")
            self._refuse(outcome, stamp, index, too_many, rest)

    def _add(
        self, outcome: Acceptance, stamp: _Stamp, event: Event, extras: dict[str, Raw]
    ) -> dict[str, bytes]:
        """Check, stamp and encode one event; returns what ``cut_properties`` dropped."""
        check(event)
        stamp.put(event)
        dropped = cut_properties(event)
        message_id = event.message_id
        if not message_id:
            message_id = event.message_id = self._new_id()
        payload = _encode(event)
        if extras:
            payload = with_extras(payload, extras)
        outcome.records.append(Record(stamp.slug, message_id, stamp.received_us, payload))
        return dropped

    @staticmethod
    def _refuse(
        outcome: Acceptance, stamp: _Stamp, index: int, refusal: Refusal, original: bytes
    ) -> None:
        outcome.refusals.append((index, refusal.code, refusal.reason))
        outcome.rejected.append(
            RejectedRecord(
                stamp.slug, stamp.received_us, refusal.code, refusal.reason, stamp.path, original
            )
        )


class _RefusedSingle(BadRequest):
    """One event on its own is refused: Segment answers 200 and drops it."""

    def __init__(self, refusal: Refusal, slug: str) -> None:
        super().__init__(200, refusal.code, refusal.reason, source=slug)


class _Stamp:
    """What all events of one request have in common, and putting it on them."""

    def __init__(
        self,
        received_us: int,
        request: Request,
        source: Source,
        sent_at: Any = None,
        context: Raw = ABSENT,
        integrations: Raw = ABSENT,
    ) -> None:
        self.received_us = received_us
        self.received = _EPOCH + timedelta(microseconds=received_us)
        self.slug = source.slug
        self.path = request.path
        self._sent_at = sent_at
        self._sent = parse_instant(sent_at) if sent_at is not None else None
        self._context = decode_object(context) if _is_filled(context) else None
        self._integrations = decode_object(integrations) if _is_filled(integrations) else None
        self._ip = request.ip
        self._client_side = source.type in _CLIENT_SIDE

    def put(self, event: Event) -> None:
        """Set times and ip, merge the envelope in, and take out the write key."""
        original = event.timestamp if event.timestamp is not None else event.original_timestamp
        moment = parse_instant(original) if original is not None else None
        sent: datetime | None
        if event.sent_at is None:
            sent = self._sent
            event.sent_at = sent if sent is not None else self._sent_at
        else:
            sent = parse_instant(event.sent_at)
            event.sent_at = sent if sent is not None else event.sent_at
        event.original_timestamp = moment if moment is not None else original
        event.timestamp = true_time(moment, sent, self.received)
        event.received_at = self.received
        event.write_key = None
        if self._context:
            event.context = _merged(self._context, event.context)
        if self._integrations:
            event.integrations = _merged(self._integrations, event.integrations)
        if self._ip and (self._client_side or event.context is not ABSENT):
            self._put_ip(event)

    def _put_ip(self, event: Event) -> None:
        if event.context is ABSENT:
            event.context = Raw(_encode({"ip": self._ip}))
            return
        context = bytes(event.context)
        if not self._client_side and b'"direct"' not in context:
            return
        if not self._client_side or b"ip" in context or b"\\u" in context:
            fields = decode_object(event.context)
            if "ip" in fields or not (self._client_side or fields.get("direct") is True):
                return
            if not fields:
                event.context = Raw(_encode({"ip": self._ip}))
                return
        inner = context[1:].lstrip()
        comma = b"" if inner[:1] == b"}" else b","
        event.context = Raw(b'{"ip":' + _encode(self._ip) + comma + inner)


def _is_filled(raw: Raw) -> bool:
    return raw is not ABSENT and bytes(raw) not in (b"null", b"{}")


def _merged(envelope: dict[str, Any], raw: Raw) -> Raw:
    """Both objects, deeply; the item wins over the envelope."""
    return Raw(_encode(_merge(envelope, decode_object(raw))))


def _merge(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        both = isinstance(below, dict) and isinstance(value, dict)
        merged[key] = _merge(below, value) if both else value  # type: ignore[arg-type]
    return merged


def _healed(body: bytes, error: Exception) -> bytes:
    """The body with half surrogate pairs replaced; BadRequest when that was not the trouble."""
    if isinstance(error, RecursionError):
        raise BadRequest(400, "too_deep", "the JSON is nested too deeply") from error
    healed = heal_surrogates(body)
    try:
        msgspec.json.decode(healed, type=Raw)
    except msgspec.DecodeError as again:
        raise BadRequest(400, "invalid_json", str(again)) from again
    if healed == body:
        raise BadRequest(400, "invalid_json", str(error)) from error
    return healed


def _write_key_of(body: bytes | Raw) -> str | None:
    try:
        key = msgspec.json.decode(body, type=_Key).write_key
    except msgspec.DecodeError:
        return None
    return key if isinstance(key, str) else None


class _Key(msgspec.Struct, rename="camel"):
    write_key: Any = None


def _first_key(items: list[Event]) -> str | None:
    return items[0].write_key if items else None
