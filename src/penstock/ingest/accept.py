"""From the bytes of a request to records for the journal, and refusals with their reasons."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
from msgspec import Raw

from penstock.events.depth import LEAST_DEEP, MAX_DEPTH, is_too_deep
from penstock.events.model import ABSENT, Event, Record, RejectedRecord, Source
from penstock.events.repair import cut_properties, repair, scalar, with_extras
from penstock.events.validation import Refusal, check
from penstock.ingest.batches import Batch, Envelope, decode_batch, take_apart
from penstock.ingest.rate import RateLimits
from penstock.ingest.stamp import Stamp

__all__ = ["Acceptance", "Acceptor", "BadRequest", "Request"]

_BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
"""How a gzip file begins; no UTF-8 text does."""
_NO_LIMIT = 1 << 62
_NOTHING: dict[str, bytes] = {}
_TOO_DEEP = f"JSON may be nested {MAX_DEPTH} levels deep"
_encode = msgspec.json.Encoder().encode
_decode_event = msgspec.json.Decoder(Event).decode


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
    """Write key from the Authorization header; wins over one in the body."""
    ip: str | None
    """The sender's IPv4 address."""
    query_key: str | None = None
    """Write key from the query; used when neither header nor body has one."""


@dataclass(slots=True)
class Acceptance:
    """The outcome of a request whose envelope could be read."""

    received_us: int
    source: str = ""
    """Slug of the source; empty when it is unknown."""
    promised: int = 0
    """Events that a 200 says were taken, counted by the request's items and not by ``records``."""
    refused: int = 0
    """Events, or whole requests, that are kept among the rejected."""
    records: list[Record] = field(default_factory=list)
    rejected: list[RejectedRecord] = field(default_factory=list)
    refusals: list[tuple[int, str, str]] = field(default_factory=list)
    """(index in the batch, code, message) of each item refused."""


class _Doubtful(Exception):
    """The fast way does not do for this batch."""


def _new_id() -> str:
    return f"penstock-{os.urandom(16).hex()}"


def _now_us() -> int:
    return time.time_ns() // 1000


class Acceptor:
    """Turns requests into records.

    A request is first decoded as a whole into typed events. Only when that fails, or an event
    is refused, it is looked at item by item, so that each refused item keeps its own bytes.

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
        limits: RateLimits | None = None,
    ) -> None:
        self._find_source = find_source
        self._max_event = max_event_bytes
        self._max_items = max_batch_items
        self._unknown_status = unknown_key_status
        self._clock = clock
        self._new_id = new_id
        self._latest_us = latest_us
        self._limits = RateLimits() if limits is None else limits

    def now_us(self) -> int:
        """Time of receipt, microseconds since 1970; never earlier than the one before."""
        now = self._clock()
        if now > self._latest_us:
            self._latest_us = now
        return self._latest_us

    def admit(self, header_key: str | None) -> None:
        """Raises RateLimited when a request with this key need not even be read.

        A source with a limit whose key is in the body is found by ``accept``.
        """
        if self._limits.any:
            source = self._find_source(header_key or "")
            if source is not None and source.enabled:
                self._limits.check(source)

    def accept(self, request: Request) -> Acceptance:
        """Read, check and stamp the events of a request.

        Raises BadRequest when the request as a whole is refused, RateLimited when its source has
        sent its share.
        """
        body = request.body
        if not body.isascii():
            try:
                body.decode()
            except UnicodeDecodeError as error:
                raise BadRequest(400, "invalid_json", _not_text(body, error)) from error
            body = body.removeprefix(_BOM)
        if request.call == "batch":
            outcome = self._accept_batch(request, body)
        else:
            outcome = self._accept_single(request, body)
        if self._limits.any:
            self._limits.take(outcome.source, outcome.promised + outcome.refused)
        return outcome

    def rejected(self, request: Request, bad: BadRequest) -> RejectedRecord:
        """The record of a request that was refused as a whole."""
        key = request.header_key or request.query_key
        source = self._find_source(key) if key and not bad.source else None
        slug = source.slug if source is not None else bad.source
        self._limits.take(slug, 1)
        return RejectedRecord(
            slug,
            self.now_us(),
            bad.code,
            bad.message,
            request.path,
            request.body,
        )

    # One event ------------------------------------------------------------------------------

    def _accept_single(self, request: Request, body: bytes) -> Acceptance:
        if len(body) > self._max_event:
            raise BadRequest(400, "too_large", _too_large(self._max_event, len(body)))
        try:
            event, extras = _decode_event(body), None
        except (msgspec.DecodeError, RecursionError):
            event, extras = self._repair_single(request, body)
        source = self._source(request.header_key or event.write_key or request.query_key)
        event.type = request.call
        intake = _Intake(source, Stamp(self.now_us(), source, request.ip), request.path)
        intake.outcome.promised = self._add_or_refuse(intake, 0, event, extras, request.body)
        if intake.outcome.refusals and intake.outcome.refusals[0][1] == "too_deep":
            raise BadRequest(400, "too_deep", _TOO_DEEP, source=source.slug)
        return intake.outcome

    def _repair_single(self, request: Request, body: bytes) -> tuple[Event, dict[str, Raw]]:
        try:
            return repair(body, request.call)
        except RecursionError as error:
            raise BadRequest(400, "too_deep", _TOO_DEEP) from error
        except msgspec.DecodeError as error:
            raise BadRequest(400, "invalid_json", _not_json(body, error)) from error
        except Refusal as refusal:
            if refusal.code == "bad_request":
                raise BadRequest(400, refusal.code, refusal.reason) from refusal
            source = self._source(request.header_key or _write_key_of(body) or request.query_key)
            raise BadRequest(200, refusal.code, refusal.reason, source=source.slug) from refusal

    # A batch --------------------------------------------------------------------------------

    def _accept_batch(self, request: Request, body: bytes) -> Acceptance:
        try:
            return self._accept_typed(request, decode_batch(body), len(body))
        except (msgspec.DecodeError, RecursionError, Refusal, _Doubtful):
            pass
        try:
            return self._accept_items(request, *take_apart(body))
        except msgspec.ValidationError as error:
            raise BadRequest(
                400, "bad_request", f"the body must be an object with a list `batch`: {error}"
            ) from error
        except msgspec.DecodeError as error:
            raise BadRequest(400, "invalid_json", _not_json(body, error)) from error
        except RecursionError as error:
            raise BadRequest(400, "too_deep", _TOO_DEEP) from error

    def _accept_typed(self, request: Request, batch: Batch, size: int) -> Acceptance:
        """The fast way: all items decode. Raises Refusal or _Doubtful when it does not do."""
        items = batch.batch
        key = batch.write_key or (items[0].write_key if items else None)
        intake = self._intake(request, key, batch, len(items))
        source, stamp, records = intake.source, intake.stamp, intake.outcome.records
        limit = self._max_event if size > self._max_event else _NO_LIMIT
        for event in items:
            record, dropped = self._record(source, stamp, event)
            if dropped or len(record.payload) > limit:
                raise _Doubtful
            records.append(record)
        intake.outcome.promised = len(items)
        return intake.outcome

    def _accept_items(self, request: Request, envelope: Envelope, items: list[Raw]) -> Acceptance:
        """The slow way: item by item, each refused item with its own bytes."""
        key = scalar(envelope.write_key)
        if not isinstance(key, str) or not key:
            key = _write_key_of(items[0]) if items else None
        intake = self._intake(request, key, envelope, len(items))
        for index, item in enumerate(items):
            try:
                event, extras = repair(item)
            except Refusal as refusal:
                intake.refuse(index, refusal, bytes(item))
            except RecursionError:
                intake.refuse(index, Refusal("too_deep", _TOO_DEEP), bytes(item))
            else:
                taken = self._add_or_refuse(intake, index, event, extras, bytes(item))
                intake.outcome.promised += taken
        return intake.outcome

    def _intake(
        self, request: Request, body_key: str | None, batch: Batch | Envelope, count: int
    ) -> _Intake:
        source = self._source(request.header_key or body_key or request.query_key)
        if isinstance(batch, Envelope) and batch.batch is ABSENT:
            raise BadRequest(
                200,
                "empty_batch",
                "`batch` is missing: the body must be an object with a list `batch`",
                source=source.slug,
            )
        self._check_count(count, source)
        sent_at = scalar(batch.sent_at) if isinstance(batch, Envelope) else batch.sent_at
        stamp = Stamp(self.now_us(), source, request.ip, sent_at, batch.context, batch.integrations)
        return _Intake(source, stamp, request.path)

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
        if source.rate_limit is not None or self._limits.any:
            self._limits.check(source)
        return source

    def _add_or_refuse(
        self,
        intake: _Intake,
        index: int,
        event: Event,
        extras: dict[str, Raw] | None,
        original: bytes,
    ) -> int:
        """Add one event that was looked at by itself, or its refusal; 1 when it was taken."""
        try:
            record, dropped = self._record(intake.source, intake.stamp, event, extras)
            if len(original) > self._max_event and len(record.payload) > self._max_event:
                raise Refusal("too_large", _too_large(self._max_event, len(original)))
        except Refusal as refusal:
            intake.refuse(index, refusal, original)
            return 0
        except RecursionError:
            intake.refuse(index, Refusal("too_deep", _TOO_DEEP), original)
            return 0
        intake.outcome.records.append(record)
        for name, rest in dropped.items():
            too_many = Refusal("too_many_properties", f"{name} beyond 10,000 were not kept")
            intake.refuse(index, too_many, rest)
        return 1

    def _record(
        self, source: Source, stamp: Stamp, event: Event, extras: dict[str, Raw] | None = None
    ) -> tuple[Record, dict[str, bytes]]:
        """Check, stamp and encode one event; also returns what ``cut_properties`` dropped."""
        check(event)
        stamp.put(event)
        message_id = event.message_id
        if not message_id:
            message_id = event.message_id = self._new_id()
        payload = _encode(event)
        if extras:
            payload = with_extras(payload, extras)
        dropped = _NOTHING
        if len(payload) > LEAST_DEEP:
            if is_too_deep(payload):
                raise Refusal("too_deep", _TOO_DEEP)
            dropped = cut_properties(event)
            if dropped:
                payload = with_extras(_encode(event), extras or {})
        return Record(source.slug, message_id, stamp.received_us, payload), dropped


class _Intake:
    """A request whose source is known, while its events are taken in."""

    __slots__ = ("outcome", "path", "source", "stamp")

    def __init__(self, source: Source, stamp: Stamp, path: str) -> None:
        self.source = source
        self.stamp = stamp
        self.path = path
        self.outcome = Acceptance(stamp.received_us, source.slug)

    def refuse(self, index: int, refusal: Refusal, original: bytes) -> None:
        """Keep what was refused, with its reason."""
        outcome = self.outcome
        outcome.refused += 1
        outcome.refusals.append((index, refusal.code, refusal.reason))
        outcome.rejected.append(
            RejectedRecord(
                self.source.slug,
                outcome.received_us,
                refusal.code,
                refusal.reason,
                self.path,
                original,
            )
        )


class _Key(msgspec.Struct, rename="camel"):
    write_key: str | None = None


_decode_key = msgspec.json.Decoder(_Key).decode


def _write_key_of(body: bytes | Raw) -> str | None:
    try:
        return _decode_key(body).write_key
    except (msgspec.DecodeError, RecursionError):
        return None


def _not_text(body: bytes, error: UnicodeDecodeError) -> str:
    if body.startswith(_GZIP):
        return "the body looks like gzip: send Content-Encoding: gzip"
    return f"the body is not UTF-8: {error}"


def _not_json(body: bytes, error: msgspec.DecodeError) -> str:
    return str(error) if body.strip() else "the body is empty"


def _too_large(limit: int, size: int) -> str:
    return f"an event may have {limit} bytes, not {size}"
