"""What makes a call valid, and the names of what can be wrong with it.

Codes and their conditions are those that Segment shows for events that failed on ingest; the
last ones are ours, for cases that Segment answers but does not name.
"""

from __future__ import annotations

import re

import msgspec
from msgspec import Raw

from penstock.events.model import ABSENT, CALLS, Event

__all__ = [
    "INGEST_CODES",
    "MAX_PROPERTIES",
    "Refusal",
    "check",
    "check_device",
    "heal_surrogates",
    "is_null",
    "is_object",
]

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
    "too_deep": "The JSON is nested deeper than 800 levels.",
    "too_large": "The request, or one event, is larger than the limit.",
    "too_many_items": "A batch holds more events than the limit; it is rejected whole.",
    "too_many_properties": "Properties or traits beyond 10,000; the event is kept without them. "
    "Only where `max_event_bytes` was raised: by default an event has no room for as many.",
    "journal_damaged": "Stored bytes were damaged on disk and could not be read back.",
    "function_failed": "A function on the source raised an error, or returned no valid event.",
    "function_stopped": "A function on the source took too long or too much memory.",
    "function_rejected": "A function on the source refused the event.",
    "function_unavailable": "A function on the source can't be run just now: its file is missing "
    "or broken, or it is held off.",
}
"""Every code that can stand in the topic ``rejected``, with its meaning."""

CONSENT_EVENT = "Segment Consent Preference Updated"
MAX_PROPERTIES = 10_000
_OPEN_BRACE = 0x7B
_OBJECTS = ("properties", "traits", "context", "integrations")
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


class _Context(msgspec.Struct, rename="camel"):
    consent: Raw = ABSENT


class _Consent(msgspec.Struct, rename="camel"):
    category_preferences: Raw = ABSENT
    version: Raw = ABSENT


_decode_context = msgspec.json.Decoder(_Context).decode
_decode_consent = msgspec.json.Decoder(_Consent).decode
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode


def check(event: Event) -> None:
    """Raise Refusal unless the call is valid; null objects become absent ones.

    The event came through the typed decoder or through ``repair``, so texts are texts.
    ``check_device`` is a part of this that the caller does, when it looks into the context.
    """
    kind = event.type
    properties, context = event.properties, event.context
    if (
        (properties is not ABSENT and memoryview(properties)[0] != _OPEN_BRACE)
        or (context is not ABSENT and memoryview(context)[0] != _OPEN_BRACE)
        or (event.traits is not ABSENT and memoryview(event.traits)[0] != _OPEN_BRACE)
        or (event.integrations is not ABSENT and memoryview(event.integrations)[0] != _OPEN_BRACE)
    ):
        _check_objects(event)
    if event.user_id is None and event.anonymous_id is None:
        _check_kind(kind)
        raise Refusal("no_user_anon_id", f"{kind} needs a userId or an anonymousId")
    if (
        event.user_id == ""
        or event.anonymous_id == ""
        or event.group_id == ""
        or event.previous_id == ""
    ):
        raise Refusal("id_not_string", "ids must not be empty strings")
    if kind != "track":
        _check_other(kind, event)
    elif not event.event:
        raise Refusal("event_not_defined", "track needs an event name in `event`")
    elif event.event == CONSENT_EVENT:
        _check_consent(event)


def _check_kind(kind: str | None) -> None:
    known = ", ".join(CALLS)
    if kind is None:
        raise Refusal("bad_request", f"type is missing; it must be one of {known}")
    if kind not in CALLS:
        raise Refusal("bad_request", f"type must be one of {known}; got {kind!r}")


def _check_other(kind: str | None, event: Event) -> None:
    _check_kind(kind)
    if kind == "group" and event.group_id is None:
        raise Refusal("id_required", "group needs a groupId")
    if kind in ("page", "screen"):
        if event.name == "":
            raise Refusal("name_not_string", "`name` must not be an empty string")
        if event.category == "":
            raise Refusal("category_not_string", "`category` must not be an empty string")


def _check_objects(event: Event) -> None:
    for name in _OBJECTS:
        raw: Raw = getattr(event, name)
        if raw is ABSENT or is_object(raw):
            continue
        if not is_null(raw):
            known = f"{name}_not_object"
            code = known if known in INGEST_CODES else "bad_request"
            raise Refusal(code, f"`{name}` must be an object")
        setattr(event, name, ABSENT)


def is_object(raw: Raw) -> bool:
    """Whether a JSON value is an object."""
    return bytes(memoryview(raw)[:1]) == b"{"


def is_null(raw: Raw) -> bool:
    """Whether a JSON value is null, or was not sent."""
    return bytes(memoryview(raw)[:1]) in b"n"


def _is_number(raw: Raw) -> bool:
    return bytes(memoryview(raw)[:1]) in b"-0123456789"


def _check_consent(event: Event) -> None:
    raw = ABSENT if event.context is ABSENT else _decode_context(event.context).consent
    if not is_null(raw) and not is_object(raw):
        raise Refusal("consent_fields_should_be_object", "context.consent must be an object")
    consent = _Consent() if is_null(raw) else _decode_consent(raw)
    preferences = consent.category_preferences
    if is_null(preferences):
        raise Refusal(
            "consent_categorypreferences_should_exist",
            "a consent event needs context.consent.categoryPreferences",
        )
    if not is_object(preferences):
        raise Refusal("consent_fields_should_be_object", "categoryPreferences must be an object")
    values = _decode_fields(preferences).values()
    if not all(bytes(value) in (b"true", b"false") for value in values):
        raise Refusal("consent_fields_should_be_bool", "consent categories must be true or false")
    if not is_null(consent.version) and not _is_number(consent.version):
        raise Refusal("consent_version_should_be_number", "consent.version must be a number")


class _Device(msgspec.Struct):
    advertising_id: Raw = msgspec.field(default=ABSENT, name="advertisingId")


_decode_device = msgspec.json.Decoder(_Device).decode


def check_device(device: Raw) -> None:
    """Raise Refusal when ``context.device`` has an advertisingId that is not text."""
    if not is_object(device):
        return
    advertising = _decode_device(device).advertising_id
    if not is_null(advertising) and bytes(memoryview(advertising)[:1]) != b'"':
        raise Refusal(
            "device_advertisingid_should_be_string", "context.device.advertisingId must be text"
        )


def heal_surrogates(body: bytes) -> bytes:
    """Replace escapes of half a surrogate pair by U+FFFD.

    Browsers send them for text cut in the middle of an emoji; no UTF-8 store can hold them.
    """

    def fixed(match: re.Match[bytes]) -> bytes:
        return match[1] + (match[2] or rb"\ufffd")

    return _LONE_SURROGATE.sub(fixed, body)
