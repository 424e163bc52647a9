"""TikTok Conversions against its strict fake."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from penstock.destinations.catalog.tiktok_conversions import DESTINATION
from penstock.destinations.contract import Answer, Call, Request
from penstock.destinations.model import MappingSetup
from penstock.destinations.payloads import compile_payload
from penstock.destinations.setup import check_settings
from tests.destinations.fakes.feeding import GONE, Fed, changed, feed
from tests.destinations.fakes.strict import NOW, Driven, drive
from tests.destinations.fakes.tiktok import TOKEN, event_track
from tests.destinations.reference import generation

SETTINGS = {"accessToken": TOKEN, "pixelCode": "C123"}
ORDER = {
    "type": "track",
    "event": "Order Completed",
    "messageId": "m1",
    "userId": "Ann",
    "timestamp": "2026-03-04T05:06:07.089Z",
    "context": {"page": {"url": "https://toast.test/?ttclid=E.C.P.1"}, "ip": "203.0.113.7"},
    "properties": {
        "order_id": "o1",
        "email": "Ann@Toast.Test",
        "phone": "+47 22 33 44 55",
        "first_name": "Ann Marie",
        "revenue": 12.5,
        "currency": "NOK",
        "products": [{"product_id": "p1", "price": 6.25, "quantity": 2, "name": "Toast"}],
    },
}


def send(*events: dict[str, Any], **fields: Any) -> Fed:
    mappings = [MappingSetup("reportWebEvent", trigger='type = "track"', fields=fields)]
    return feed(DESTINATION, SETTINGS, events, event_track, mappings if fields else None)


def told(fed: Fed) -> list[str]:
    """What the fake refused by the code of its answer."""
    return [str(driven.error) for _, driven in fed.driven if driven.error is not None]


def test_events_of_every_kind_are_taken() -> None:
    given = [event for seed in (29, 31, 37) for event in generation.events(seed)]
    presets = send(*given)
    assert len(presets.requests) > 100 and told(presets) == []
    for kind in ("travel_fields", "vehicle_fields"):
        assert told(send(*given, event="Search", event_spec_type=kind)) == []
    assert told(send(*given, event="Lead", event_source="crm")) == []


def test_an_order() -> None:
    (request,) = send(ORDER).requests
    (event,) = request.json["data"]
    hashed = {text: sha256(text.encode()).hexdigest() for text in ("ann", "annmarie")}
    assert request.json["event_source_id"] == "C123"
    assert (event["event"], event["event_id"], event["event_time"]) == (
        "CompletePayment",
        "m1",
        1772600767,
    )
    assert event["user"]["external_id"] == [hashed["ann"]]
    assert event["user"]["first_name"] == hashed["annmarie"]
    assert event["user"]["email"] == [sha256(b"ann@toast.test").hexdigest()]
    assert event["user"]["phone"] == [sha256(b"+4722334455").hexdigest()]
    assert event["user"]["ttclid"] == "E.C.P.1"
    assert event["properties"]["value"] == 12.5
    assert event["properties"]["contents"] == [
        {"content_id": "p1", "price": 6.25, "quantity": 2, "content_name": "Toast"}
    ]


def test_an_event_without_time_happened_now_and_one_with_nonsense_is_refused() -> None:
    fields = {"event": "Contact", "timestamp": None}
    (request,) = send(ORDER, **fields).requests
    assert request.json["data"][0]["event_time"] == int(NOW.timestamp())
    fed = send(ORDER, event="Contact", timestamp="yesterday")
    assert fed.requests == [] and "timestamp" in told(fed)[0]


def test_the_test_code_of_the_mapping_counts_before_that_of_the_settings() -> None:
    settings = {**SETTINGS, "testEventCode": "TEST1"}
    (request,) = feed(DESTINATION, settings, [ORDER], event_track).requests
    assert request.json["test_event_code"] == "TEST1"
    mapping = MappingSetup(
        "reportWebEvent", trigger='type = "track"', fields={"event": "X", "test_event_code": "T2"}
    )
    (request,) = feed(DESTINATION, settings, [ORDER], event_track, [mapping]).requests
    assert request.json["test_event_code"] == "T2"


def _code(request: Request) -> int:
    code: int = json.loads(event_track(request).body)["code"]
    return code


def _batch(*ids: str, faulty: str = "", code: int = 40002) -> Driven:
    def answer(request: Request) -> Answer:
        bad = any(event["event_id"] == faulty for event in request.json["data"])
        return Answer(200, {}, json.dumps({"code": code if bad else 0}).encode())

    payload = compile_payload(DESTINATION.action("reportWebEvent"), {"event": "Contact"})
    made = [payload({**ORDER, "messageId": each}) for each in ids]
    call = Call(made, check_settings(DESTINATION, SETTINGS), NOW, lambda: "id", batched=True)
    return drive(DESTINATION, "reportWebEvent", call, answer)


def test_a_batch_that_is_refused_is_halved_until_the_faulty_event_is_alone() -> None:
    driven = _batch("m0", "m1", "m2", "m3", "m4", faulty="m3")
    assert set(driven.failures) == {3} and driven.failures[3].status == 400
    taken = [
        event["event_id"]
        for request in driven.requests
        for event in request.json["data"]
        if "m3" not in [each["event_id"] for each in request.json["data"]]
    ]
    assert sorted(taken) == ["m0", "m1", "m2", "m4"]


@pytest.mark.parametrize(("code", "status"), [(40100, 429), (40105, 401), (50002, 500)])
def test_the_code_in_the_body_decides(code: int, status: int) -> None:
    driven = _batch("m0", "m1", faulty="m1", code=code)
    assert len(driven.requests) == 1
    assert driven.error is not None and driven.error.status == status


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("event_source", "app"),
        ("event_source_id", GONE),
        ("data", []),
        ("data.0.event", ""),
        ("data.0.event_time", "2026-03-04"),
        ("data.0.event_time", 1772600767089),
        ("data.0.user.email", ["ann@toast.test"]),
        ("data.0.user.phone", ["E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"]),
        ("data.0.user.city", "São Paulo"),
        ("data.0.user.gender", "f"),
        ("data.0.properties.value", "12.50"),
        ("data.0.properties.content_type", "service"),
        ("data.0.lead", {"lead_id": "1"}),
        ("data.0.limited_data_use", "no"),
    ],
)
def test_the_fake_refuses(place: str, value: Any) -> None:
    (request,) = send(ORDER).requests
    assert _code(request) == 0
    assert _code(changed(request, place, value)) == 40002


def test_the_fake_wants_to_know_who_sends() -> None:
    (request,) = send(ORDER).requests
    assert _code(replace(request, headers={})) == 40105
    assert _code(replace(request, url=request.url[:-1])) == 40006
