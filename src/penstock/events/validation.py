"""What makes a call valid, and the names of what can be wrong with it.

Codes and their conditions are those that Segment shows for events that failed on ingest; the
last ones are ours, for cases that Segment answers but does not name.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Raw

from penstock.events.model import ABSENT, CALLS, Event

__all__ = ["INGEST_CODES", "Refusal", "check", "heal_surrogates", "repair", "with_extras"]

INGEST_CODES: dict[str, str] = {
    "no_user_anon_id": "Neither userId nor anonymousId was given.",
    "id_required": "A group call has no groupId.",
    "id_not_string": "An id is an empty string, or neither text nor a number.",
    "event_not_defined": "A track call has no event name.",
    "event_not_string": "The event name is not text.",
    "properties_not_object": "`properties` is not an object.",
    "traits_not_object": "`traits` is not an object.",
    "name_not_string": "The name of a page or screen is empty or not text.",
    "category_not_string": "The category of a page or screen is empty or not text.",
    "empty_batch": "A batch holds no events.",
    "source_disabled": "The source is switched off.",
    "unknown_source": "No source has this write key.",
    "bad_request": "The request, or an item of a batch, can't be read as a call.",
    "device_advertisingid_should_be_string": "`context.device.advertisingId` is not text.",
    "consent_categorypreferences_should_exist": "A consent event lacks categoryPreferences.",
    "consent_fields_should_be_object": "`context.consent` or categoryPreferences is no object.",
    "consent_fields_should_be_bool": "A consent category is neither true nor false.",
    "consent_version_should_be_number": "`context.consent.version` is not a number.",
    "invalid_json": "The body is not JSON in UTF-8.",
    "too_deep": "The JSON is nested too deeply to be read.",
    "too_large": "The request, or one event, is larger than the limit.",
    "too_many_items": "A batch holds more events than the limit; it is rejected whole.",
    "too_many_properties": "Properties or traits beyond 10,000; the event is kept without them.",
    "journal_damaged": "Stored bytes were damaged on disk and could not be read back.",
}
"""Every code that can stand in the topic ``rejected``, with its meaning."""

CONSENT_EVENT = "Segment Consent Preference Updated"
MAX_PROPERTIES = 10_000
_OPEN_BRACE = 0x7B
_ROOM_FOR_TOO_MANY = MAX_PROPERTIES * 5
_IDS = ("user_id", "anonymous_id", "group_id", "previous_id")
_OBJECTS = ("properties", "traits", "context", "integrations")
_FIELDS = {field.encode_name: field.name for field in msgspec.structs.fields(Event)}
_LONE_SURROGATE = re.compile(
    rb"(?<!\\)((?:\\\\)*)(?:(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


class Refusal(Exception):
    """One event is not accepted: ``code`` is one of INGEST_CODES, the text is for its sender."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def check(event: Event) -> None:
    """Raise Refusal unless the call is valid; null objects become absent ones.

    The event came through the typed decoder or through ``repair``, so texts are texts.
    """
    kind = event.type
    if kind not in CALLS:
        raise Refusal("bad_request", f"type must be one of {', '.join(CALLS)}; got {kind!r}")
    _check_objects(event)
    if (
        event.user_id == ""
        or event.anonymous_id == ""
        or event.group_id == ""
        or event.previous_id == ""
    ):
        raise Refusal("id_not_string", "ids must not be empty strings")
    if event.user_id is None and event.anonymous_id is None:
        raise Refusal("no_user_anon_id", f"{kind} needs a userId or an anonymousId")
    if kind == "track":
        if not event.event:
            raise Refusal("event_not_defined", "track needs an event name in `event`")
        if event.event == CONSENT_EVENT:
            _check_consent(event)
    elif kind == "group":
        if event.group_id is None:
            raise Refusal("id_required", "group needs a groupId")
    elif kind in ("page", "screen"):
        if event.name == "":
            raise Refusal("name_not_string", "`name` must not be an empty string")
        if event.category == "":
            raise Refusal("category_not_string", "`category` must not be an empty string")
    if event.context is not ABSENT and b"advertisingId" in memoryview(event.context).tobytes():
        _check_device(event)


def _check_objects(event: Event) -> None:
    for name in _OBJECTS:
        raw: Raw = getattr(event, name)
        if raw is ABSENT:
            continue
        view = memoryview(raw)
        if view[0] == _OPEN_BRACE:
            continue
        if view.tobytes() != b"null":
            known = f"{name}_not_object"
            code = known if known in INGEST_CODES else "bad_request"
            raise Refusal(code, f"`{name}` must be an object")
        setattr(event, name, ABSENT)


def _check_consent(event: Event) -> None:
    context = decode_object(event.context)
    consent = context.get("consent")
    if consent is None:
        raise Refusal(
            "consent_categorypreferences_should_exist",
            "a consent event needs context.consent.categoryPreferences",
        )
    preferences = consent.get("categoryPreferences") if isinstance(consent, dict) else consent
    if preferences is None:
        raise Refusal(
            "consent_categorypreferences_should_exist",
            "a consent event needs context.consent.categoryPreferences",
        )
    if not isinstance(preferences, dict):
        raise Refusal("consent_fields_should_be_object", "categoryPreferences must be an object")
    if not all(isinstance(value, bool) for value in preferences.values()):
        raise Refusal("consent_fields_should_be_bool", "consent categories must be true or false")
    version = consent.get("version", 0)
    if version is not None and (isinstance(version, bool) or not isinstance(version, int | float)):
        raise Refusal("consent_version_should_be_number", "consent.version must be a number")


def _check_device(event: Event) -> None:
    device = decode_object(event.context).get("device")
    advertising = device.get("advertisingId") if isinstance(device, dict) else None
    if advertising is not None and not isinstance(advertising, str):
        raise Refusal(
            "device_advertisingid_should_be_string", "context.device.advertisingId must be text"
        )


def decode_object(raw: Raw) -> dict[str, Any]:
    """The JSON object of a field, empty when absent; numbers too large to read become None."""
    if raw is ABSENT:
        return {}
    try:
        decoded = msgspec.json.decode(raw)
    except msgspec.ValidationError:
        fields = msgspec.json.decode(raw, type=dict[str, Raw])
        decoded = {}
        for key, value in fields.items():
            try:
                decoded[key] = msgspec.json.decode(value)
            except msgspec.ValidationError:
                decoded[key] = None
    return decoded if isinstance(decoded, dict) else {}


def repair(item: bytes | Raw) -> tuple[Event, dict[str, Raw]]:
    """Read an event field by field, when it does not decode as a whole.

    Numbers given as ids become text, unknown fields are returned beside the event so that they
    can be kept. Raises Refusal with the code of the first field that can't be read.
    """
    try:
        fields = msgspec.json.decode(item, type=dict[str, Raw])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal("bad_request", "an event must be a JSON object") from error
    event = Event()
    extras: dict[str, Raw] = {}
    for wire, raw in fields.items():
        name = _FIELDS.get(wire)
        if name is None:
            extras[wire] = raw
        elif name in _OBJECTS:
            setattr(event, name, Raw(bytes(raw)))
        else:
            setattr(event, name, _field(name, _scalar(raw)))
    return event, extras


def _scalar(raw: Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except msgspec.ValidationError:
        return bytes(raw).decode()


def _field(name: str, value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if name in _IDS:
        if number:
            return _number_text(value)
        raise Refusal("id_not_string", f"{_wire(name)} must be text")
    if name == "event":
        raise Refusal("event_not_string", "the event name must be text")
    if name in ("name", "category"):
        raise Refusal(f"{name}_not_string", f"`{name}` must be text")
    if name == "message_id":
        return _number_text(value) if number else None
    if name == "type":
        raise Refusal("bad_request", "`type` must be text")
    if name == "write_key":
        return None
    return value


def _number_text(value: float) -> str:
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 2**63
    return str(int(value)) if whole else str(value)


def _wire(name: str) -> str:
    return next(wire for wire, field in _FIELDS.items() if field == name)


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
        if raw is ABSENT or len(memoryview(raw)) < _ROOM_FOR_TOO_MANY:
            continue
        fields = msgspec.json.decode(raw, type=dict[str, Raw])
        if len(fields) > MAX_PROPERTIES:
            pairs = list(fields.items())
            setattr(event, name, Raw(msgspec.json.encode(dict(pairs[:MAX_PROPERTIES]))))
            dropped[name] = msgspec.json.encode(dict(pairs[MAX_PROPERTIES:]))
    return dropped


def heal_surrogates(body: bytes) -> bytes:
    """Replace escapes of half a surrogate pair by U+FFFD.

    Browsers send them for text cut in the middle of an emoji; no UTF-8 store can hold them.
    """

    def fixed(match: re.Match[bytes]) -> bytes:
        return match[1] + (match[2] or rb"\ufffd")

    return _LONE_SURROGATE.sub(fixed, body)
