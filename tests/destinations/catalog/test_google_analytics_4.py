"""Google Analytics 4: regions, the validation server, times, and what Google would drop."""

from __future__ import annotations

import json

import pytest

from penstock.destinations import registry
from penstock.destinations.contract import Answer, Call, InvalidPayload, Json, Payload, Request
from penstock.destinations.setup import check_settings
from tests.destinations.fakes.strict import NOW, Driven, drive

TOOL = registry.definition("google-analytics-4")
LOGIN: Payload = {"client_id": "c-1", "engagement_time_msec": 1}
ORDER: Payload = {
    **LOGIN,
    "currency": "EUR",
    "transaction_id": "o-1",
    "value": 19.99,
    "items": [{"item_id": "p-1", "price": 19.99, "quantity": 1}],
}


def _do(slug: str, payload: Payload, told: Json = None, **settings: Json) -> Driven:
    made = check_settings(TOOL, {"measurementId": "G-1", "apiSecret": "s", **settings})
    call = Call([dict(payload)], made, NOW, lambda: "id")
    answer = Answer(200, {}, json.dumps(told or {}).encode())
    return drive(TOOL, slug, call, lambda request: answer)


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "https://www.google-analytics.com/mp/collect?measurement_id=G-1"),
        ({"region": "eu"}, "https://region1.google-analytics.com/mp/collect?measurement_id=G-1"),
        (
            {"debug": True},
            "https://www.google-analytics.com/debug/mp/collect?measurement_id=G-1",
        ),
    ],
)
def test_the_address_follows_region_and_debug(settings: dict[str, Json], url: str) -> None:
    assert _do("login", LOGIN, **settings).requests[0].url == f"{url}&api_secret=s"


def test_the_secret_is_added_and_encoded() -> None:
    assert TOOL.authorize is not None
    bare = Request("POST", "https://host/mp/collect?measurement_id=G-1")
    shown = TOOL.authorize(bare, {"apiSecret": "a b&c"}, "")
    assert shown.url == "https://host/mp/collect?measurement_id=G-1&api_secret=a%20b%26c"


def test_colons_of_an_app_id_stay() -> None:
    payload = {**LOGIN, "data_stream_type": "Mobile App", "app_instance_id": "i"}
    request = _do("login", payload, firebaseAppId="1:2:web:3").requests[0]
    assert request.url.endswith("?firebase_app_id=1:2:web:3&api_secret=s")
    assert request.json["app_instance_id"] == "i"
    assert "client_id" not in request.json


def test_what_the_validation_server_finds_is_an_error() -> None:
    told = {"validationMessages": [{"description": "Event name is reserved"}]}
    driven = _do("login", LOGIN, told, debug=True)
    assert isinstance(driven.error, InvalidPayload)
    assert "Event name is reserved" in str(driven.error)
    assert _do("login", LOGIN, {"validationMessages": []}, debug=True).error is None


@pytest.mark.parametrize(
    ("told", "micros"),
    [
        ("2026-03-04T05:06:07.089Z", 1772600767089000),
        ("1772600767089123", 1772600767089123),
        ("", None),
    ],
)
def test_times_are_microseconds(told: str, micros: int | None) -> None:
    body = _do("login", {**LOGIN, "timestamp_micros": told}).requests[0].json
    assert body.get("timestamp_micros") == micros


@pytest.mark.parametrize(
    ("slug", "change", "reason"),
    [
        ("purchase", {"currency": "EURO"}, "ISO 4217"),
        ("purchase", {"items": [{"price": 1}]}, "id or a name"),
        ("purchase", {"params": {"a": None}}, "params.a"),
        ("purchase", {"user_properties": {"a": [1]}}, "user_properties.a"),
        ("refund", {"currency": None, "value": 3}, "value without currency"),
        ("viewCart", {"currency": None, "value": None}, "neither the event nor"),
        ("addPaymentInfo", {"items": []}, "at least one product"),
        ("login", {"client_id": None}, "neither userId nor anonymousId"),
        ("login", {"timestamp_micros": "soon"}, "neither a date"),
    ],
)
def test_what_google_would_drop_is_refused(slug: str, change: Payload, reason: str) -> None:
    driven = _do(slug, {**ORDER, **change})
    assert isinstance(driven.error, InvalidPayload)
    assert reason in str(driven.error)
    assert not driven.requests


def test_an_order_keeps_its_amounts() -> None:
    event = _do("purchase", {**ORDER, "shipping": 0, "tax": 3.5}).requests[0].json["events"][0]
    assert event == {
        "name": "purchase",
        "params": {
            "currency": "EUR",
            "transaction_id": "o-1",
            "shipping": 0,
            "tax": 3.5,
            "value": 19.99,
            "items": ORDER["items"],
            "engagement_time_msec": 1,
        },
    }


def test_consent_and_user_properties() -> None:
    payload = {**LOGIN, "user_properties": {"plan": "gold"}, "ad_user_data_consent": "DENIED"}
    body = _do("login", payload).requests[0].json
    assert body["user_properties"] == {"plan": {"value": "gold"}}
    assert body["consent"] == {"ad_user_data": "DENIED"}


def test_names_of_custom_events() -> None:
    payload: Payload = {"clientId": "c", "name": " Tea\tPoured Out ", "lowercase": True}
    event = _do("customEvent", payload).requests[0].json["events"][0]
    assert event["name"] == "tea_poured_out"
