"""Amplitude: revenue, dedupe ids, sessions, invalid events of a batch, user agents."""

from __future__ import annotations

import json

import pytest

from penstock.destinations import registry
from penstock.destinations.catalog.amplitude.user_agents import told_by
from penstock.destinations.contract import Answer, Call, Json, Payload
from penstock.destinations.setup import check_settings
from tests.destinations.fakes.strict import NOW, Driven, drive

TOOL = registry.definition("amplitude")
TIME = "2026-03-04T05:06:07.089Z"
EVENT: Payload = {"event_type": "Tea Poured", "user_id": "user-1", "time": TIME}
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
    "Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
)


def _do(
    slug: str, *payloads: Payload, status: int = 200, told: Json = None, **settings: Json
) -> Driven:
    made = check_settings(TOOL, {"apiKey": "key", "secretKey": "secret", **settings})
    call = Call([dict(payload) for payload in payloads], made, NOW, lambda: "new")
    answer = Answer(status, {}, json.dumps(told or {}).encode())
    return drive(TOOL, slug, call, lambda request: answer)


def test_revenue_is_price_times_quantity() -> None:
    order = {**EVENT, "revenue": 99, "price": 2.5, "quantity": 4, "productId": "p"}
    event = _do("logPurchase", order).requests[0].json["events"][0]
    assert (event["revenue"], event["price"], event["quantity"]) == (10, 2.5, 4)
    assert (event["revenueType"], event["productId"]) == ("Purchase", "p")
    plain = _do("logEventV2", order).requests[0].json["events"][0]
    assert not plain.keys() & {"revenue", "price", "quantity", "revenueType", "productId"}


def test_revenue_is_told_once() -> None:
    order = {
        **EVENT,
        "insert_id": "m-1",
        "revenue": 10,
        "trackRevenuePerProduct": True,
        "products": [{"price": 2, "quantity": 3}, {"revenue": 4}],
    }
    events = _do("logPurchase", order).requests[0].json["events"]
    assert [event.get("revenue") for event in events] == [None, 6, 4]
    assert [event["insert_id"] for event in events] == ["m-1", "m-1-2", "m-1-3"]
    once = _do("logPurchase", {**order, "trackRevenuePerProduct": False})
    assert [e.get("revenue") for e in once.requests[0].json["events"]] == [10, None, None]


@pytest.mark.parametrize(
    ("told", "session"),
    [("1772600767089", 1772600767089), (1772600767089, 1772600767089), (TIME, 1772600767089)],
)
def test_sessions_are_milliseconds(told: Json, session: int) -> None:
    event = _do("logEventV2", {**EVENT, "session_id": told}).requests[0].json["events"][0]
    assert event["session_id"] == session


def test_invalid_events_fail_and_valid_ones_are_sent_again() -> None:
    told = {"code": 400, "events_with_invalid_fields": {"time": [1]}}
    driven = _do("logEventV2", EVENT, EVENT, EVENT, status=400, told=told)
    assert {index: f.status for index, f in driven.failures.items()} == {0: 503, 1: 400, 2: 503}
    assert "time" in driven.failures[1].message


def test_a_single_invalid_event_is_refused() -> None:
    told = {"code": 400, "events_with_invalid_fields": {"time": [0]}}
    driven = _do("logEventV2", EVENT, status=400, told=told)
    assert driven.error is not None
    assert driven.error.status == 400


@pytest.mark.parametrize(
    ("slug", "payload", "region", "url"),
    [
        ("logEventV2", EVENT, "north_america", "https://api2.amplitude.com/2/httpapi"),
        ("logEventV2", EVENT, "europe", "https://api.eu.amplitude.com/2/httpapi"),
        (
            "logEventV2",
            {**EVENT, "use_batch_endpoint": True},
            "europe",
            "https://api.eu.amplitude.com/batch",
        ),
        ("mapUser", {"user_id": "a"}, "north_america", "https://api.amplitude.com/usermap"),
    ],
)
def test_addresses(slug: str, payload: Payload, region: str, url: str) -> None:
    assert _do(slug, payload, endpoint=region).requests[0].url == url


def test_properties_to_set() -> None:
    event = {
        **EVENT,
        "user_properties": {"plan": "gold"},
        "setAlways": {"utm_source": "mail"},
        "setOnce": {"initial_referrer": ""},
        "add": {"visits": 1},
    }
    told = _do("logEventV2", event).requests[0].json["events"][0]["user_properties"]
    assert told == {"plan": "gold", "$set": {"utm_source": "mail"}, "$add": {"visits": 1}}


def test_a_group_is_joined_before_it_is_described() -> None:
    group: Payload = {"group_type": "company", "group_value": "acme", "user_id": "u"}
    urls = [request.url for request in _do("groupIdentifyUser", group).requests]
    assert urls == [
        "https://api2.amplitude.com/identify",
        "https://api2.amplitude.com/groupidentify",
    ]


def test_own_words_win_over_the_user_agent() -> None:
    event = {**EVENT, "userAgent": PHONE, "userAgentParsing": True, "os_name": "iPadOS"}
    told = _do("logEventV2", event).requests[0].json["events"][0]
    assert (told["os_name"], told["device_model"], told["device_type"]) == (
        "iPadOS",
        "iPhone",
        "mobile",
    )


def test_an_unknown_agent_tells_nothing() -> None:
    assert told_by("curl/8.5.0", {}) == {}
    assert told_by("curl/8.5.0", {"model": "Own"}) == {"device_model": "Own"}
