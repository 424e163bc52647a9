"""An event as profiles see it: who it is about, when it happened, and what it says."""

from __future__ import annotations

import json
import math
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from penstock.events.validation import heal_surrogates

__all__ = ["Context", "Device", "Observed", "microseconds", "observe"]

_NOTHING = Raw(b"{}")
_decode_fields = msgspec.json.Decoder(dict[str, Any]).decode


class Device(msgspec.Struct, rename="camel", gc=False):
    """``context.device``, as far as it identifies somebody."""

    id: Any = None
    type: Any = None
    advertising_id: Any = None
    ad_tracking_enabled: Any = None
    token: Any = None


class Context(msgspec.Struct, rename="camel", gc=False):
    """``context``, as far as profiles look at it; odd values are None or stay as they are."""

    device: Device | None = None
    external_ids: Any = None
    traits: dict[str, Any] | None = None
    integrations: dict[str, Any] | None = None
    group_id: Any = None


class _Payload(msgspec.Struct, rename="camel", gc=False):
    type: str
    message_id: str
    timestamp: datetime
    event: str | None = None
    name: str | None = None
    category: str | None = None
    user_id: str | None = None
    anonymous_id: str | None = None
    previous_id: str | None = None
    group_id: str | None = None
    properties: Raw = _NOTHING
    traits: Raw = _NOTHING
    context: Raw = _NOTHING


class Observed(msgspec.Struct, gc=False):
    """One event out of the journal, decoded as far as is needed."""

    source: str
    """Slug of the source."""
    type: str
    """track, identify, page, screen, group or alias."""
    name: str
    """Of the event: of a track call its name, of a page call ``Page Viewed``, of a screen call
    ``Screen Viewed``; else empty."""
    message_id: str
    timestamp_us: int
    """When it happened, microseconds since 1970 UTC."""
    received_us: int
    user_id: str | None
    anonymous_id: str | None
    previous_id: str | None
    group_id: str | None
    called: str | None
    """Name of the page or screen."""
    category: str | None
    raw_properties: Raw
    raw_traits: Raw
    raw_context: Raw
    _properties: dict[str, Any] | UnsetType = UNSET
    _traits: dict[str, Any] | UnsetType = UNSET
    _context: Context | UnsetType = UNSET

    @property
    def order(self) -> tuple[int, int, str]:
        """Later events are greater: by when it happened, then receipt, then message id."""
        return (self.timestamp_us, self.received_us, self.message_id)

    @property
    def properties(self) -> dict[str, Any]:
        """Of a page or screen call with its name as ``page_name`` or ``screen_name`` too."""
        if self._properties is UNSET:
            self._properties = _decode_object(self.raw_properties)
            if self.type in ("page", "screen") and self.called is not None:
                self._properties.setdefault(f"{self.type}_name", self.called)
        return self._properties

    @property
    def traits(self) -> dict[str, Any]:
        """Traits of an identify or group call."""
        if self._traits is UNSET:
            self._traits = _decode_object(self.raw_traits)
        return self._traits

    @property
    def context(self) -> Context:
        """What its context says of who it is."""
        if self._context is UNSET:
            self._context = _context(self.raw_context)
        return self._context


_NAMES = {"page": "Page Viewed", "screen": "Screen Viewed"}
_decode_payload = msgspec.json.Decoder(_Payload).decode
_decode_context = msgspec.json.Decoder(Context).decode


def observe(source: str, received_us: int, payload: bytes) -> Observed:
    """Decode an event as it stands in the journal. Raises msgspec.MsgspecError when it is none."""
    found = _decode_payload(payload)
    name = found.event if found.type == "track" else _NAMES.get(found.type)
    return Observed(
        source,
        found.type,
        name or "",
        found.message_id,
        microseconds(found.timestamp),
        received_us,
        found.user_id,
        found.anonymous_id,
        found.previous_id,
        found.group_id,
        found.name,
        found.category,
        found.properties,
        found.traits,
        found.context,
    )


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970 UTC, exactly."""
    days = moment.toordinal() - 719_163
    seconds = (days * 24 + moment.hour) * 3600 + moment.minute * 60 + moment.second
    offset = moment.utcoffset()
    return (seconds - int(offset.total_seconds() if offset else 0)) * 1_000_000 + moment.microsecond


def _decode_object(raw: Raw) -> dict[str, Any]:
    """An object, as far as it can be read: half a surrogate pair or a number beyond all range is
    no reason to lose the rest; one that is nested too deep is empty."""
    try:
        return _decode_fields(raw)
    except msgspec.DecodeError:
        text = heal_surrogates(bytes(raw))
        found = json.loads(text, parse_constant=lambda _: None, parse_float=_finite)
        return found if isinstance(found, dict) else {}
    except RecursionError:
        return {}


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def _context(raw: Raw) -> Context:
    try:
        return _decode_context(raw)
    except msgspec.DecodeError:
        return _mended(_decode_object(raw))
    except RecursionError:
        return Context()


def _mended(value: dict[str, Any]) -> Context:
    """What is there of a context in which something has an unexpected type."""
    device = value.get("device")
    return Context(
        msgspec.convert(device, Device) if isinstance(device, dict) else None,
        value.get("externalIds"),
        _object(value.get("traits")),
        _object(value.get("integrations")),
        value.get("groupId"),
    )


def _object(value: Any) -> dict[str, Any] | None:
    return value if isinstance(value, dict) else None
