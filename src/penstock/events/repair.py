"""Making the best of JSON that is not quite an event."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from penstock.events.model import ABSENT, Event
from penstock.events.validation import MAX_PROPERTIES, Refusal, heal_surrogates

__all__ = ["cut_properties", "repair", "scalar", "with_extras"]

_ROOM_FOR_TOO_MANY = MAX_PROPERTIES * 5
_IDS = frozenset({"user_id", "anonymous_id", "group_id", "previous_id"})
_TEXTS_OF = {"event": ("track",), "name": ("page", "screen"), "category": ("page", "screen")}
"""Fields that must be text in some calls, and mean nothing in others."""
_FIELDS = {field.encode_name: field for field in msgspec.structs.fields(Event)}
_decode = msgspec.json.Decoder().decode
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode


def repair(item: bytes | Raw, call: str | None = None) -> tuple[Event, dict[str, Raw]]:
    """Read an event field by field, when it does not decode as a whole.

    ``call`` is the type when the path implies it. Numbers given as ids become text; unknown
    fields are returned beside the event so that they can be kept. Raises Refusal with the code of
    the first field that can't be read, msgspec.DecodeError for what is not JSON, RecursionError
    for what is nested too deeply.
    """
    fields = _fields(item)
    event = Event()
    extras: dict[str, Raw] = {}
    if call is None:
        call = _text_or_none(fields.get("type", ABSENT))
    for wire, raw in fields.items():
        field = _FIELDS.get(wire)
        if field is None:
            extras[wire] = raw
        elif field.type is Raw:
            setattr(event, field.name, raw)
        else:
            setattr(event, field.name, _field(field.name, wire, scalar(raw), call))
    return event, extras


def _fields(item: bytes | Raw) -> dict[str, Raw]:
    try:
        return _decode_fields(item)
    except msgspec.ValidationError as error:
        raise Refusal("bad_request", "an event must be a JSON object") from error
    except msgspec.DecodeError:
        healed = heal_surrogates(bytes(item))
        if healed == item:
            raise
    try:
        return _decode_fields(healed)
    except msgspec.ValidationError as error:
        raise Refusal("bad_request", "an event must be a JSON object") from error


def scalar(raw: Raw) -> Any:
    """The value, or its text when it is a number that no double can hold; None when absent."""
    if raw is ABSENT:
        return None
    try:
        return _decode(raw)
    except msgspec.ValidationError:
        return bytes(raw).decode()


def _text_or_none(raw: Raw) -> str | None:
    value = scalar(raw)
    return value if isinstance(value, str) else None


def _field(name: str, wire: str, value: Any, call: str | None) -> Any:
    if value is None or isinstance(value, str):
        return value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if name in _IDS:
        if number:
            return _number_text(value)
        raise Refusal("id_not_string", f"{wire} must be text")
    calls = _TEXTS_OF.get(name)
    if calls is not None:
        if call in calls:
            raise Refusal(f"{name}_not_string", f"`{name}` must be text")
        return msgspec.json.encode(value).decode()
    if name == "message_id":
        return _number_text(value) if number else None
    if name == "type":
        raise Refusal("bad_request", "`type` must be text")
    return None if name == "write_key" else value


def _number_text(value: float) -> str:
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 2**63
    return str(int(value)) if whole else str(value)


def with_extras(payload: bytes, extras: dict[str, Raw]) -> bytes:
    """The encoded event with unknown top-level fields put back."""
    if not extras:
        return payload
    return payload[:-1] + b"," + msgspec.json.encode(extras)[1:]


def cut_properties(event: Event) -> dict[str, bytes]:
    """Drop properties and traits beyond the first 10,000; returns the dropped JSON by field."""
    dropped = {}
    for name in ("properties", "traits"):
        raw: Raw = getattr(event, name)
        if len(memoryview(raw)) < _ROOM_FOR_TOO_MANY:
            continue
        fields = _decode_fields(raw)
        if len(fields) > MAX_PROPERTIES:
            pairs = list(fields.items())
            setattr(event, name, Raw(msgspec.json.encode(dict(pairs[:MAX_PROPERTIES]))))
            dropped[name] = msgspec.json.encode(dict(pairs[MAX_PROPERTIES:]))
    return dropped
