"""Each code of the tracking API's list of drop reasons, and what passes."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.events import INGEST_CODES, Event, Refusal
from penstock.events.depth import MAX_DEPTH, is_too_deep
from penstock.events.repair import cut_properties, repair, with_extras
from penstock.events.validation import check, check_device, heal_surrogates

TRACK = {"type": "track", "userId": "u1", "event": "Tea Poured"}
PAGE = {"type": "page", "userId": "u1"}
GROUP = {"type": "group", "userId": "u1", "groupId": "g1"}
CONSENT = {
    "type": "track",
    "userId": "u1",
    "event": "Segment Consent Preference Updated",
}


def read(fields: dict[str, Any]) -> Event:
    """As the collector reads: as a whole, or else field by field; then check."""
    body = json.dumps(fields).encode()
    try:
        event = msgspec.json.decode(body, type=Event)
    except msgspec.ValidationError:
        event, _ = repair(body)
    check(event)
    return event


def code_of(fields: dict[str, Any]) -> str:
    with pytest.raises(Refusal) as refused:
        read(fields)
    assert refused.value.code in INGEST_CODES
    assert refused.value.reason
    return refused.value.code


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"type": "track", "event": "X"}, "no_user_anon_id"),
        ({**TRACK, "userId": None, "anonymousId": None}, "no_user_anon_id"),
        ({"type": "group", "groupId": "g1"}, "no_user_anon_id"),
        ({"type": "group", "userId": "u1"}, "id_required"),
        ({**GROUP, "groupId": None}, "id_required"),
        ({**TRACK, "userId": ""}, "id_not_string"),
        ({**TRACK, "anonymousId": ""}, "id_not_string"),
        ({**TRACK, "userId": True}, "id_not_string"),
        ({**TRACK, "userId": {}}, "id_not_string"),
        ({**TRACK, "anonymousId": ["a"]}, "id_not_string"),
        ({**GROUP, "groupId": ""}, "id_not_string"),
        ({"type": "alias", "userId": "u1", "previousId": ""}, "id_not_string"),
        ({"type": "track", "userId": "u1"}, "event_not_defined"),
        ({**TRACK, "event": None}, "event_not_defined"),
        ({**TRACK, "event": ""}, "event_not_defined"),
        ({**TRACK, "event": 5}, "event_not_string"),
        ({**TRACK, "event": {"name": "x"}}, "event_not_string"),
        ({**TRACK, "properties": []}, "properties_not_object"),
        ({**TRACK, "properties": "a=b"}, "properties_not_object"),
        ({**TRACK, "properties": False}, "properties_not_object"),
        ({"type": "identify", "userId": "u1", "traits": [1]}, "traits_not_object"),
        ({**TRACK, "context": []}, "bad_request"),
        ({**TRACK, "integrations": "none"}, "bad_request"),
        ({**PAGE, "name": ""}, "name_not_string"),
        ({**PAGE, "name": 5}, "name_not_string"),
        ({**PAGE, "type": "screen", "name": ["Home"]}, "name_not_string"),
        ({**PAGE, "category": ""}, "category_not_string"),
        ({**PAGE, "category": 5}, "category_not_string"),
        ({"userId": "u1"}, "bad_request"),
        ({**TRACK, "type": "purchase"}, "bad_request"),
        ({**TRACK, "type": "Track"}, "bad_request"),
        ({**TRACK, "type": 5}, "bad_request"),
        (CONSENT, "consent_categorypreferences_should_exist"),
        ({**CONSENT, "context": {}}, "consent_categorypreferences_should_exist"),
        ({**CONSENT, "context": {"consent": None}}, "consent_categorypreferences_should_exist"),
        ({**CONSENT, "context": {"consent": {}}}, "consent_categorypreferences_should_exist"),
        ({**CONSENT, "context": {"consent": "yes"}}, "consent_fields_should_be_object"),
        ({**CONSENT, "context": {"consent": []}}, "consent_fields_should_be_object"),
        (
            {**CONSENT, "context": {"consent": {"categoryPreferences": ["a"]}}},
            "consent_fields_should_be_object",
        ),
        (
            {**CONSENT, "context": {"consent": {"categoryPreferences": {"ads": "yes"}}}},
            "consent_fields_should_be_bool",
        ),
        (
            {**CONSENT, "context": {"consent": {"categoryPreferences": {"ads": None}}}},
            "consent_fields_should_be_bool",
        ),
        (
            {**CONSENT, "context": {"consent": {"categoryPreferences": {}, "version": "2"}}},
            "consent_version_should_be_number",
        ),
    ],
)
def test_refused(fields: dict[str, Any], code: str) -> None:
    assert code_of(fields) == code


@pytest.mark.parametrize(
    "fields",
    [
        TRACK,
        {"type": "track", "anonymousId": "a1", "event": "X"},
        {**TRACK, "anonymousId": None, "properties": None, "traits": None, "context": None},
        {**TRACK, "messageId": None, "timestamp": None, "integrations": None},
        {"type": "identify", "userId": "u1"},
        {**PAGE, "name": None, "category": None},
        {**PAGE, "name": "Home", "category": "Shop"},
        {"type": "screen", "anonymousId": "a1"},
        GROUP,
        {"type": "alias", "userId": "u1", "previousId": "a1"},
        {"type": "alias", "userId": "u1"},
        {**CONSENT, "context": {"consent": {"categoryPreferences": {"ads": True, "ops": False}}}},
        {**CONSENT, "context": {"consent": {"categoryPreferences": {}, "version": 2.5}}},
        {**CONSENT, "context": {"consent": {"categoryPreferences": {}, "version": None}}},
    ],
)
def test_accepted(fields: dict[str, Any]) -> None:
    read(fields)


def test_a_number_of_any_size_is_a_consent_version() -> None:
    body = (
        b'{"type":"track","userId":"u1","event":"Segment Consent Preference Updated",'
        b'"context":{"consent":{"categoryPreferences":{},"version":1e999}}}'
    )
    check(msgspec.json.decode(body, type=Event))


@pytest.mark.parametrize(
    ("device", "fine"),
    [
        ({}, True),
        (None, True),
        ("phone", True),
        ({"advertisingId": "7A3CBEA0"}, True),
        ({"advertisingId": None}, True),
        ({"advertisingId": 7}, False),
        ({"advertisingId": {}}, False),
    ],
)
def test_the_advertising_id_is_text(device: object, fine: bool) -> None:
    raw = msgspec.Raw(json.dumps(device).encode())
    if fine:
        check_device(raw)
        return
    with pytest.raises(Refusal) as refused:
        check_device(raw)
    assert refused.value.code == "device_advertisingid_should_be_string"


def test_null_objects_are_absent_ones() -> None:
    event = read({**TRACK, "properties": None, "context": None})
    assert msgspec.json.decode(msgspec.json.encode(event)) == TRACK


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("5", "5"),
        ("-5", "-5"),
        ("5.0", "5"),
        ("5.5", "5.5"),
        ("12345678901234567890123", "12345678901234567890123"),
        ("1e999", "1e999"),
        ("9" * 400, "9" * 400),
    ],
)
@pytest.mark.parametrize("field", ["userId", "anonymousId", "groupId", "previousId", "messageId"])
def test_numbers_as_ids_become_text(field: str, number: str, text: str) -> None:
    event, _ = repair(f'{{"type":"group","{field}":{number}}}'.encode())
    assert msgspec.json.decode(msgspec.json.encode(event))[field] == text


def test_unknown_fields_are_kept_as_they_were_sent() -> None:
    sent = b'{"type":"track","userId":5,"event":"X","email":"a@b.test","big":1e999,"list":[1.50]}'
    event, extras = repair(sent)
    stored = with_extras(msgspec.json.encode(event), extras)
    assert stored == sent.replace(b":5,", b':"5",')


def test_text_fields_that_mean_nothing_to_the_call_are_kept_as_text() -> None:
    event, extras = repair(b'{"type":"track","userId":"u","event":"X","name":[1],"category":5}')
    assert (event.name, event.category, extras) == ("[1]", "5", {})


def test_without_an_unknown_field_the_payload_stays() -> None:
    assert with_extras(b'{"a":1}', {}) == b'{"a":1}'


@pytest.mark.parametrize("body", [b"[]", b"5", b'"text"', b"null", b"true"])
def test_an_event_is_an_object(body: bytes) -> None:
    with pytest.raises(Refusal, match="JSON object"):
        repair(body)


@pytest.mark.parametrize("body", [b"", b"{", b"{}{}", b'{"a":NaN}', b'{"a":01}', b"\xff"])
def test_what_is_not_json_is_told_apart(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        repair(body)


@pytest.mark.parametrize(
    ("sent", "healed"),
    [
        (rb'"\ud83d"', rb'"\ufffd"'),
        (rb'"\ude00"', rb'"\ufffd"'),
        (rb'"\ud83d\ude00"', rb'"\ud83d\ude00"'),
        (rb'"\uD83D\uDE00\ud83d"', rb'"\uD83D\uDE00\ufffd"'),
        (rb'"\ud83d\ud83d\ude00"', rb'"\ufffd\ud83d\ude00"'),
        (rb'"\ude00\ud83d"', rb'"\ufffd\ufffd"'),
        (rb'"\\ud83d"', rb'"\\ud83d"'),
        (rb'"\\\ud83d"', rb'"\\\ufffd"'),
        (rb'"\\\\ud83d"', rb'"\\\\ud83d"'),
        (rb'"a\ud83dA"', rb'"a\ufffdA"'),
    ],
)
def test_half_surrogate_pairs_are_healed(sent: bytes, healed: bytes) -> None:
    assert heal_surrogates(sent) == healed


@given(st.lists(st.sampled_from([r"\ud83d", r"\ude00", r"\\", "u", "d83d", r"\u0041", r"\n", "x"])))
def test_what_was_healed_can_be_decoded(parts: list[str]) -> None:
    healed = heal_surrogates(f'"{"".join(parts)}"'.encode())
    assert isinstance(msgspec.json.decode(healed), str)


def test_properties_beyond_ten_thousand_are_cut() -> None:
    fields = {f"p{i}": i for i in range(10_001)}
    event = msgspec.json.decode(json.dumps({**TRACK, "properties": fields}), type=Event)
    dropped = cut_properties(event)
    assert json.loads(dropped["properties"]) == {"p10000": 10_000}
    assert json.loads(bytes(event.properties)) == {f"p{i}": i for i in range(10_000)}


def test_ten_thousand_properties_are_not_cut() -> None:
    fields = {f"p{i}": i for i in range(10_000)}
    event = msgspec.json.decode(json.dumps({**TRACK, "properties": fields}), type=Event)
    assert cut_properties(event) == {}


def nested(levels: int, opening: str = "[", closing: str = "]") -> bytes:
    return (opening * levels + closing * levels).encode()


@pytest.mark.parametrize(
    ("payload", "deep"),
    [
        (nested(MAX_DEPTH), False),
        (nested(MAX_DEPTH + 1), True),
        (nested(MAX_DEPTH // 2, '{"a":[', "]}"), False),
        (nested(MAX_DEPTH // 2 + 1, '{"a":[', "]}"), True),
        (b"[" + b",".join([b"[[]]"] * 900) + b"]", False),
        (json.dumps("[" * 2000 + '"\\').encode(), False),
    ],
)
def test_depth(payload: bytes, deep: bool) -> None:
    assert is_too_deep(payload) is deep
