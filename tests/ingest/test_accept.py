"""From bytes to records: merging, stamping, refusing item by item."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from penstock.events import Source
from penstock.events.depth import MAX_DEPTH
from penstock.ingest.accept import Acceptance, Acceptor, BadRequest, Request
from tests.ingest.collecting import NOON_US, SOURCES, Json

NOON = "2026-01-05T10:00:00Z"
TEA: Json = {"type": "track", "userId": "u1", "event": "Tea Poured", "messageId": "m1"}


class Clock:
    def __init__(self) -> None:
        self.now_us = NOON_US

    def __call__(self) -> int:
        return self.now_us


def acceptor(clock: Clock | None = None, max_event_bytes: int = 33 * 1024) -> Acceptor:
    numbers = iter(range(1 << 40))
    return Acceptor(
        SOURCES.get,
        max_event_bytes=max_event_bytes,
        max_batch_items=2500,
        clock=clock or Clock(),
        new_id=lambda: f"given-{next(numbers)}",
    )


def batch(
    body: object, *, key: str | None = "web-key", ip: str | None = None, **how: Any
) -> Acceptance:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return acceptor(**how).accept(Request("/v1/batch", "batch", raw, key, ip))


def single(
    body: object,
    call: str = "track",
    *,
    key: str | None = "web-key",
    ip: str | None = None,
    **how: Any,
) -> Acceptance:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return acceptor(**how).accept(Request(f"/v1/{call}", call, raw, key, ip))


def stored(acceptance: Acceptance) -> list[Json]:
    assert all(record.received_us == acceptance.received_us for record in acceptance.records)
    return [json.loads(record.payload) for record in acceptance.records]


def one(acceptance: Acceptance) -> Json:
    assert acceptance.rejected == []
    (event,) = stored(acceptance)
    return event


def refused(acceptance: Acceptance) -> list[tuple[str, bytes]]:
    return [(record.code, record.original) for record in acceptance.rejected]


# Envelopes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("envelope", "item", "merged"),
    [
        ({"app": {"name": "Tea"}}, None, {"app": {"name": "Tea"}}),
        ({"app": {"name": "Tea"}}, {}, {"app": {"name": "Tea"}}),
        ({}, {"locale": "no"}, {"locale": "no"}),
        (None, {"locale": "no"}, {"locale": "no"}),
        ({"locale": "en"}, {"locale": "no"}, {"locale": "no"}),
        ({"locale": "en"}, {"locale": None}, {"locale": None}),
        (
            {"app": {"name": "Tea", "build": 1}, "os": {"name": "iOS"}},
            {"app": {"build": 2}, "locale": "no"},
            {"app": {"name": "Tea", "build": 2}, "os": {"name": "iOS"}, "locale": "no"},
        ),
        ({"a": {"b": {"c": 1, "d": 2}}}, {"a": {"b": {"c": 3}}}, {"a": {"b": {"c": 3, "d": 2}}}),
        ({"a": {"b": 1}}, {"a": 5}, {"a": 5}),
        ({"a": [1]}, {"a": [2]}, {"a": [2]}),
        ({"a": 5}, {"a": {"b": 1}}, {"a": {"b": 1}}),
    ],
)
@pytest.mark.parametrize("field", ["context", "integrations"])
def test_the_envelope_is_merged_into_each_item_and_the_item_wins(
    field: str, envelope: Json | None, item: Json | None, merged: Json
) -> None:
    event = {**TEA, field: item} if item is not None else TEA
    assert one(batch({"batch": [event], field: envelope}, key="server-key"))[field] == merged


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 400, "1.50", "0.1000000000000000055"])
def test_merging_and_the_ip_change_no_number(number: str) -> None:
    item = '{"type":"track","userId":"u","event":"X","messageId":"m","context":{"b":NUMBER}}'
    body = ('{"batch":[' + item + '],"context":{"a":NUMBER}}').replace("NUMBER", number)
    payload = batch(body.encode(), ip="203.0.113.7").records[0].payload.decode()
    assert f'"context":{{"ip":"203.0.113.7","a":{number},"b":{number}}}' in payload


def test_an_envelope_without_anything_to_merge_adds_nothing() -> None:
    event = one(batch({"batch": [TEA], "context": None, "integrations": {}}, key="server-key"))
    assert "context" not in event
    assert "integrations" not in event


def test_the_envelopes_sent_at_is_for_items_without_one() -> None:
    late, own = "2026-01-05T09:00:00Z", "2026-01-05T08:00:00Z"
    events = stored(
        batch(
            {
                "batch": [
                    {**TEA, "timestamp": "2026-01-05T08:59:00Z"},
                    {**TEA, "timestamp": "2026-01-05T07:58:00Z", "sentAt": own},
                    {**TEA, "sentAt": None},
                ],
                "sentAt": late,
            }
        )
    )
    assert [event["sentAt"] for event in events] == [late, own, late]
    assert [event["timestamp"] for event in events] == [
        "2026-01-05T09:59:00Z", "2026-01-05T09:58:00Z", NOON,
    ]  # fmt: skip
    assert [event["receivedAt"] for event in events] == [NOON] * 3


# Times -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({}, {"timestamp": NOON, "originalTimestamp": None, "sentAt": None}),
        (
            {"timestamp": "2026-01-04T10:00:00Z"},
            {"timestamp": "2026-01-04T10:00:00Z", "originalTimestamp": "2026-01-04T10:00:00Z"},
        ),
        (
            {"timestamp": "2026-01-05T12:00:00+02:00", "sentAt": "2026-01-05T12:00:01+02:00"},
            {
                "timestamp": "2026-01-05T09:59:59Z",
                "originalTimestamp": "2026-01-05T12:00:00+02:00",
                "sentAt": "2026-01-05T12:00:01+02:00",
            },
        ),
        (
            {"timestamp": "2015-2-02T00:30:12.984Z"},
            {"originalTimestamp": "2015-02-02T00:30:12.984000Z"},
        ),
        ({"timestamp": 1704164645678}, {"originalTimestamp": "2024-01-02T03:04:05.678000Z"}),
        ({"timestamp": "soon"}, {"timestamp": NOON, "originalTimestamp": "soon"}),
        ({"timestamp": {"a": 1}}, {"timestamp": NOON, "originalTimestamp": {"a": 1}}),
        ({"sentAt": "soon"}, {"timestamp": NOON, "sentAt": "soon"}),
        ({"originalTimestamp": "2026-01-04T10:00:00Z"}, {"timestamp": "2026-01-04T10:00:00Z"}),
        (
            {"timestamp": "9999-12-31T23:59:59Z", "sentAt": "0001-01-01T00:00:00Z"},
            {"timestamp": "9999-12-31T23:59:59Z"},
        ),
        (
            {"receivedAt": "1999-01-01T00:00:00Z", "originalTimestamp": "x", "timestamp": None},
            {"receivedAt": NOON, "originalTimestamp": "x"},
        ),
    ],
)
def test_times(sent: Json, expected: Json) -> None:
    event = one(single({**TEA, **sent}))
    assert {name: event.get(name) for name in expected} == expected
    assert event["receivedAt"] == NOON


@pytest.mark.parametrize("field", ["sentAt", "writeKey", "other"])
def test_odd_envelope_fields_harm_no_item(field: str) -> None:
    for value in (b"1e999", b"9" * 400, b"[]", b"{}", b"5", b'"x\\ud83d"'):
        body = b'{"batch":[' + GOOD % 1 + b'],"' + field.encode() + b'":' + value + b"}"
        assert len(batch(body).records) == 1


def test_a_number_too_large_for_a_timestamp_is_kept_as_text() -> None:
    body = b'{"userId":"u","event":"X","timestamp":1e999,"sentAt":%s}' % (b"9" * 400)
    event = one(single(body))
    assert (event["originalTimestamp"], event["timestamp"]) == ("1e999", NOON)


def test_a_clock_set_back_is_held() -> None:
    clock = Clock()
    collector = acceptor(clock)
    request = Request("/v1/track", "track", json.dumps(TEA).encode(), "web-key", None)
    before = collector.accept(request).received_us
    clock.now_us -= 3_600_000_000
    assert collector.accept(request).received_us == before
    clock.now_us += 3_600_000_001
    assert collector.accept(request).received_us == before + 1


def test_after_a_restart_the_clock_goes_on_from_the_journal() -> None:
    collector = Acceptor(
        SOURCES.get, max_event_bytes=1000, max_batch_items=1, clock=Clock(), latest_us=NOON_US + 5
    )
    assert collector.now_us() == NOON_US + 5


# Ids and keys ------------------------------------------------------------------------------


@pytest.mark.parametrize("message_id", ["absent", None, "", {}, []])
def test_a_message_id_is_given_when_there_is_none(message_id: object) -> None:
    event = {name: value for name, value in TEA.items() if name != "messageId"}
    if message_id != "absent":
        event["messageId"] = message_id
    acceptance = batch({"batch": [event, event]})
    assert all(record.message_id.startswith("given-") for record in acceptance.records)
    assert len({record.message_id for record in acceptance.records}) == 2
    assert [e["messageId"] for e in stored(acceptance)] == [
        record.message_id for record in acceptance.records
    ]


def test_without_an_injected_source_ids_are_random() -> None:
    collector = Acceptor(SOURCES.get, max_event_bytes=1000, max_batch_items=9)
    body = b'{"batch":[{"type":"track","userId":"u","event":"X"},{"type":"page","userId":"u"}]}'
    first, second = collector.accept(Request("/v1/b", "batch", body, "web-key", None)).records
    assert first.message_id != second.message_id
    assert abs(first.received_us - NOON_US) > 1_000_000


@pytest.mark.parametrize("odd", [{}, {"userId": 5}], ids=["typed", "loose"])
def test_the_write_key_is_stripped_everywhere(odd: Json) -> None:
    item = {**TEA, **odd, "writeKey": "web-key"}
    for acceptance in (
        single(item, key=None),
        batch({"batch": [item, item], "writeKey": "web-key"}, key=None),
        batch({"batch": [item]}, key=None),
        batch({"batch": [{**item, "writeKey": 5}]}),
    ):
        assert acceptance.records
        assert not any(b"writeKey" in record.payload for record in acceptance.records)
        assert {record.source for record in acceptance.records} == {"web"}


@pytest.mark.parametrize(
    ("header", "envelope", "item", "query", "slug"),
    [
        ("server-key", "web-key", "app-key", "app-key", "server"),
        (None, "web-key", "app-key", "server-key", "web"),
        (None, None, "app-key", "server-key", "app"),
        (None, "", "app-key", "server-key", "app"),
        (None, None, None, "server-key", "server"),
    ],
)
@pytest.mark.parametrize("odd", [{}, {"userId": 5}], ids=["typed", "loose"])
def test_which_key_wins(
    odd: Json, header: str | None, envelope: str | None, item: str | None, query: str, slug: str
) -> None:
    body = {"batch": [{**TEA, **odd, "writeKey": item}], "writeKey": envelope}
    request = Request("/v1/b", "batch", json.dumps(body).encode(), header, None, query)
    assert acceptor().accept(request).records[0].source == slug


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [
        (None, 401, "unknown_source"),
        ("who", 401, "unknown_source"),
        ("off-key", 200, "source_disabled"),
    ],
)
def test_a_key_without_a_source_that_is_on(key: str | None, status: int, code: str) -> None:
    for accept, body in ((single, TEA), (batch, {"batch": [TEA]})):
        with pytest.raises(BadRequest) as bad:
            accept(body, key=key)
        assert (bad.value.status, bad.value.code) == (status, code)


def test_the_path_decides_the_type() -> None:
    assert one(single({**TEA, "type": "track"}, "identify"))["type"] == "identify"
    assert one(single({"userId": "u1"}, "page"))["type"] == "page"


def test_unknown_top_level_fields_are_kept() -> None:
    extra = {"email": "a@b.test", "version": "1.1", "channel": "server", "nested": {"a": [1, None]}}
    event = one(single({**TEA, **extra, "_metadata": {"bundled": ["Segment.io"]}}))
    assert {**event, **extra, "_metadata": {"bundled": ["Segment.io"]}} == event


# The sender's ip ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "context", "stored_ip"),
    [
        ("web-key", None, "203.0.113.7"),
        ("web-key", {}, "203.0.113.7"),
        ("web-key", {"locale": "no"}, "203.0.113.7"),
        ("web-key", {"page": {"ip": "x"}, "zip": "ip"}, "203.0.113.7"),
        ("web-key", {"ip": "198.51.100.1"}, "198.51.100.1"),
        ("web-key", {"ip": "0.0.0.0"}, "0.0.0.0"),
        ("web-key", {"ip": None}, None),
        ("app-key", {"device": {"id": "d"}}, "203.0.113.7"),
        ("server-key", None, None),
        ("server-key", {"locale": "no"}, None),
        ("server-key", {"direct": True}, "203.0.113.7"),
        ("server-key", {"direct": "true"}, None),
        ("server-key", {"direct": False}, None),
        ("server-key", {"direct": True, "ip": "0.0.0.0"}, "0.0.0.0"),
        ("server-key", {"page": {"direct": True}}, None),
    ],
)
def test_the_ip_rule(key: str, context: Json | None, stored_ip: str | None) -> None:
    event = one(single({**TEA, "context": context}, key=key, ip="203.0.113.7"))
    kept = event.get("context", {})
    assert kept.get("ip") == stored_ip
    assert {name: value for name, value in kept.items() if name != "ip"} == {
        name: value for name, value in (context or {}).items() if name != "ip"
    }


@pytest.mark.parametrize("context", [b'{ "a" : 1 }', b"{ }", b"{\n}", b'{"\\u0069p":"1.2.3.4"}'])
def test_the_ip_is_put_into_any_spelling_of_an_object(context: bytes) -> None:
    event = one(single(b'{"userId":"u","event":"X","context":' + context + b"}", ip="203.0.113.7"))
    given = json.loads(context)
    assert event["context"] == {"ip": "203.0.113.7", **given}


def test_without_an_address_no_ip_is_stored() -> None:
    assert "context" not in one(single(TEA, ip=None))


# Refusals ----------------------------------------------------------------------------------


def deep(levels: int) -> bytes:
    return (
        b'{"type":"track","userId":"u","event":"X","properties":{"a":'
        + b"[" * levels
        + b"]" * levels
        + b"}}"
    )


BAD_ITEMS: list[tuple[bytes, str]] = [
    (b'{"type":"track","userId":"u1"}', "event_not_defined"),
    (b'{ "type" : "track", "event": "X" }', "no_user_anon_id"),
    (b'{"type":"track","userId":"u1","event":5}', "event_not_string"),
    (b'{"type":"track","userId":"u1","event":"X","properties":[1e999]}', "properties_not_object"),
    (b'{"userId":"u1"}', "bad_request"),
    (b"5", "bad_request"),
    (b"null", "bad_request"),
    (b'["a"]', "bad_request"),
    (b'"{\\"type\\""', "bad_request"),
    (b'{"type":"group","userId":"\\ud83d"}', "id_required"),
    (b'{"type":"page","userId":"u","name":"' + b"x" * 34_000 + b'"}', "too_large"),
    (deep(MAX_DEPTH), "too_deep"),
    (deep(900), "too_deep"),
    (deep(5_000), "too_deep"),
    (b'{"a":' * 900 + b"1" + b"}" * 900, "bad_request"),
    (b'{"a":' * 5000 + b"1" + b"}" * 5000, "too_deep"),
    (
        b'{"type":"track","userId":"u","event":"X","context":{"device":{"advertisingId":1}}}',
        "device_advertisingid_should_be_string",
    ),
]
GOOD = b'{"type":"track","userId":"u1","event":"Tea Poured","messageId":"m%d"}'


@pytest.mark.parametrize(("item", "code"), BAD_ITEMS)
def test_good_items_survive_bad_neighbours_whose_bytes_are_kept(item: bytes, code: str) -> None:
    body = b'{"batch": [' + GOOD % 1 + b" , " + item + b",\n" + GOOD % 2 + b'],"sentAt":"x"}'
    acceptance = batch(body)
    assert [record.message_id for record in acceptance.records] == ["m1", "m2"]
    assert refused(acceptance) == [(code, item)]
    assert [(index, c) for index, c, _ in acceptance.refusals] == [(1, code)]
    assert acceptance.rejected[0].source == "web"
    assert acceptance.rejected[0].path == "/v1/batch"


def test_all_bad_items_together() -> None:
    items = [item for item, _ in BAD_ITEMS]
    acceptance = batch(b'{"batch":[' + b",".join([GOOD % 1, *items, GOOD % 2]) + b"]}")
    assert [record.message_id for record in acceptance.records] == ["m1", "m2"]
    assert refused(acceptance) == [(code, item) for item, code in BAD_ITEMS]


def test_the_largest_depth_is_accepted() -> None:
    for body in (deep(MAX_DEPTH - 2), b'{"batch":[' + deep(MAX_DEPTH - 2) + b"]}"):
        accept = batch if body.startswith(b'{"batch"') else single
        assert accept(body).rejected == []


@pytest.mark.parametrize("levels", [MAX_DEPTH - 1, 900, 5_000, 100_000])
def test_one_event_that_is_too_deep_is_a_bad_request(levels: int) -> None:
    with pytest.raises(BadRequest) as bad:
        single(deep(levels), max_event_bytes=1 << 20)
    assert (bad.value.status, bad.value.code) == (400, "too_deep")


@pytest.mark.parametrize("levels", [1_000, 100_000])
@pytest.mark.parametrize(
    "template",
    [
        b'{"batch":[{}],"context":%s}',
        b'{"a":%s,"batch":[{}]}',
        b"%s",
        b'{"batch":%s}',
        b'[{"batch":%s}]',
    ],
)
def test_a_deep_envelope_is_a_bad_request(template: bytes, levels: int) -> None:
    for value in (b"[" * levels + b"]" * levels, b'{"a":' * levels + b"1" + b"}" * levels):
        try:
            acceptance = batch(template % value)
        except BadRequest as bad:
            assert bad.status in (200, 400)
        else:
            assert acceptance.records == []


def test_half_an_emoji_in_one_item_is_healed_and_harms_no_other() -> None:
    half = rb'{"type":"track","userId":"u","event":"Half","properties":{"a":"x\ud83d"}}'
    acceptance = batch(b'{"batch":[' + GOOD % 1 + b"," + half + b',5],"sentAt":"\\ude00"}')
    assert refused(acceptance) == [("bad_request", b"5")]
    assert stored(acceptance)[1]["properties"] == {"a": "x\ufffd"}


def test_more_items_than_the_limit_are_refused_whole() -> None:
    with pytest.raises(BadRequest) as bad:
        batch({"batch": [TEA] * 2501})
    assert (bad.value.status, bad.value.code, bad.value.source) == (200, "too_many_items", "web")
    assert len(batch({"batch": [TEA] * 2500}).records) == 2500


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"batch":[]}', 200, "empty_batch"),
        (b'{"batch":[ ]}', 200, "empty_batch"),
        (b"{}", 200, "empty_batch"),
        (b'{"batch":null}', 400, "bad_request"),
        (b'{"batch":{}}', 400, "bad_request"),
        (b'{"batch":"x"}', 400, "bad_request"),
        (b"[]", 400, "bad_request"),
        (b"5", 400, "bad_request"),
        (b"", 400, "invalid_json"),
        (b"{", 400, "invalid_json"),
        (b'{"batch":[{]}', 400, "invalid_json"),
        (b'{"batch":[' + GOOD % 1 + b',{"a":NaN}]}', 400, "invalid_json"),
        (b'{"batch":[' + GOOD % 1 + b"]", 400, "invalid_json"),
        (b'{"batch":[' + GOOD % 1 + b"]} x", 400, "invalid_json"),
        (b'{"batch":[' + GOOD % 1 + b',,"\\ud83d"]}', 400, "invalid_json"),
        (b'{"batch":["\xff"]}', 400, "invalid_json"),
        (b'\xff\xfe{"batch":[]}', 400, "invalid_json"),
    ],
)
def test_batches_that_are_none(body: bytes, status: int, code: str) -> None:
    with pytest.raises(BadRequest) as bad:
        batch(body)
    assert (bad.value.status, bad.value.code) == (status, code)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"x", "invalid_json"),
        (b'{"userId":"u","event":"X"', "invalid_json"),
        (b'{"userId":"u","event":"X","a":Infinity}', "invalid_json"),
        (b'{"userId":"\xff","event":"X"}', "invalid_json"),
        (b'{"userId":5,"event":"\\ud83d","a":01}', "invalid_json"),
        (b"[]", "bad_request"),
        (b'"text"', "bad_request"),
        (b'{"userId":"u","event":"X","a":"' + b"x" * 34_000 + b'"}', "too_large"),
    ],
)
def test_single_events_that_are_none(body: bytes, code: str) -> None:
    with pytest.raises(BadRequest) as bad:
        single(body)
    assert (bad.value.status, bad.value.code) == (400, code)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is empty"),
        (b" \n", "the body is empty"),
        (b"\xef\xbb\xbf", "the body is empty"),
        (gzip.compress(b"{}"), "the body looks like gzip: send Content-Encoding: gzip"),
        (b"\xff", "the body is not UTF-8: "),
    ],
)
def test_what_is_said_of_a_body_that_is_no_json(body: bytes, message: str) -> None:
    for accept in (single, batch):
        with pytest.raises(BadRequest) as bad:
            accept(body)
        assert (bad.value.status, bad.value.code) == (400, "invalid_json")
        assert bad.value.message.startswith(message)


def test_a_body_without_a_batch_is_told_so() -> None:
    for body in (b"{}", b'{"foo":[]}', b'{"context":{},"writeKey":"web-key"}'):
        with pytest.raises(BadRequest) as bad:
            batch(body)
        assert bad.value.message.startswith("`batch` is missing")
    with pytest.raises(BadRequest) as bad:
        batch(b'{"batch":[]}')
    assert bad.value.message == "the batch holds no events"


def test_an_item_without_a_type_is_told_so() -> None:
    acceptance = batch({"batch": [{"userId": "u1"}, {"event": "X"}, {"type": "trakc"}]})
    codes, texts = zip(*[(code, text) for _, code, text in acceptance.refusals], strict=True)
    assert set(codes) == {"bad_request"}
    assert [text.partition(";")[0] for text in texts[:2]] == ["type is missing"] * 2
    assert texts[2].endswith("; got 'trakc'")


def test_a_bom_is_no_harm() -> None:
    one(single(b"\xef\xbb\xbf" + json.dumps(TEA).encode()))


def test_what_is_refused_as_a_whole_knows_its_source_by_the_header() -> None:
    collector = acceptor()
    request = Request("/v1/t", "track", b"{", "server-key", None)
    record = collector.rejected(request, BadRequest(400, "invalid_json", "why"))
    assert (record.source, record.code, record.reason) == ("server", "invalid_json", "why")
    assert (record.path, record.original, record.received_us) == ("/v1/t", b"{", NOON_US)


def test_an_event_is_as_large_as_it_was_sent_or_is_stored_whichever_is_less() -> None:
    spaces = b'{"type":"page","userId":"u","a":  [' + b" " * 34_000 + b"]}"
    filled = b'{"type":"page","userId":"u","properties":{"a":"' + b"x" * 33_700 + b'"}}'
    for bad_neighbour in (b"", b",5"):
        acceptance = batch(b'{"batch":[' + filled + bad_neighbour + b"]}")
        assert len(acceptance.records) == 1
        assert batch(b'{"batch":[' + spaces + bad_neighbour + b"]}").refusals[0][1] == "too_large"


@pytest.mark.parametrize("as_batch", [False, True])
def test_properties_beyond_ten_thousand_are_dropped_and_findable(as_batch: bool) -> None:
    event = {**TEA, "properties": {f"p{i}": i for i in range(10_001)}, "email": "a@b.test"}
    accept = batch if as_batch else single
    acceptance = accept({"batch": [event]} if as_batch else event, max_event_bytes=1 << 20)
    (kept,) = stored(acceptance)
    assert len(kept["properties"]) == 10_000
    assert kept["email"] == "a@b.test"
    assert refused(acceptance) == [("too_many_properties", b'{"p10000":10000}')]


def test_duplicate_keys_count_as_the_last() -> None:
    event = one(single(b'{"userId":"a","userId":"b","event":"X","event":"Y"}'))
    assert (event["userId"], event["event"]) == ("b", "Y")


@pytest.mark.parametrize("odd", [b'"x"', b'"\\ud83d"', b"[" * 2000 + b"]" * 2000])
def test_of_two_batches_the_last_counts(odd: bytes) -> None:
    twice = b'{"batch":[1],"a":[[],{}],"batch":[' + GOOD % 1 + b"," + odd + b"]}"
    assert [record.message_id for record in batch(twice).records] == ["m1"]
    with pytest.raises(BadRequest):
        batch(b'{"batch":[' + GOOD % 1 + b"," + odd + b'],"batch":5}')


def test_sources_are_looked_up_for_each_request() -> None:
    sources = {"k": Source("one", "One")}
    collector = Acceptor(sources.get, max_event_bytes=1000, max_batch_items=9)
    request = Request("/v1/track", "track", json.dumps(TEA).encode(), "k", None)
    assert collector.accept(request).records[0].source == "one"
    sources["k"] = Source("two", "Two")
    assert collector.accept(request).records[0].source == "two"
