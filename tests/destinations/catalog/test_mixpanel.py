"""Mixpanel: dedupe ids, products of orders, events that are not taken, regions."""

from __future__ import annotations

import json

import pytest

from penstock.destinations import registry
from penstock.destinations.catalog.mixpanel.browsers import browser_of, version_of
from penstock.destinations.contract import Answer, Call, InvalidPayload, Json, Payload, Request
from penstock.destinations.setup import check_settings
from tests.destinations.fakes.strict import NOW, Driven, drive

TOOL = registry.definition("mixpanel")
TIME = "2026-03-04T05:06:07.089Z"
EVENT: Payload = {"event": "Tea Poured", "distinct_id": "u", "insert_id": "m-1", "time": TIME}


def _do(
    slug: str, *payloads: Payload, status: int = 200, told: Json = None, **settings: Json
) -> Driven:
    made = check_settings(TOOL, {"projectToken": "token", **settings})
    ids = [f"message-{number}" for number in range(len(payloads))]
    call = Call([dict(p) for p in payloads], made, NOW, lambda: "new", message_ids=ids)
    answer = Answer(status, {}, json.dumps(told or {}).encode())
    return drive(TOOL, slug, call, lambda request: answer)


def _data(request: Request) -> Json:
    assert isinstance(request.form, dict)
    return json.loads(request.form["data"])


def test_products_have_ids_and_times_of_their_own() -> None:
    order = {
        **EVENT,
        "generatePurchaseEventPerProduct": True,
        "event_properties": {"revenue": 10, "city": "Oslo", "$insert_id": "no"},
        "products": [{"product_id": "a", "price": 3}, {"product_id": "b"}],
    }
    events = _do("trackPurchase", order).requests[0].json
    told = [(e["event"], e["properties"]["$insert_id"], e["properties"]["time"]) for e in events]
    assert told == [
        ("Tea Poured", "m-1", 1772600767089),
        ("Product Purchased", "0m-1", 1772600767088),
        ("Product Purchased", "1m-1", 1772600767087),
    ]
    assert "revenue" not in events[1]["properties"]
    assert events[1]["properties"]["city"] == "Oslo"
    assert events[2]["properties"]["product_id"] == "b"


def test_an_event_without_insert_id_has_that_of_its_message() -> None:
    bare = {"event": "Tea Poured"}
    events = _do("trackEvent", bare, bare).requests[0].json
    ids = [event["properties"]["$insert_id"] for event in events]
    assert ids == ["message-0", "message-1"]
    assert events[0]["properties"]["distinct_id"] == ""


def test_events_that_are_not_taken_fail_alone() -> None:
    order = {**EVENT, "generatePurchaseEventPerProduct": True, "products": [{"price": 1}]}
    told = {"code": 400, "failed_records": [{"index": 3, "message": "bad time"}]}
    driven = _do("trackPurchase", order, order, order, status=400, told=told)
    assert {index: f.message for index, f in driven.failures.items()} == {1: "bad time"}
    assert driven.error is None


def test_a_refusal_of_all_is_one() -> None:
    driven = _do("trackEvent", EVENT, EVENT, status=401)
    assert driven.error is not None
    assert driven.error.status == 401


@pytest.mark.parametrize(
    ("region", "host"),
    [("us", "api.mixpanel.com"), ("eu", "api-eu.mixpanel.com"), ("in", "api-in.mixpanel.com")],
)
def test_regions(region: str, host: str) -> None:
    driven = _do("trackEvent", EVENT, apiRegion=region, strictMode="off")
    assert driven.requests[0].url == f"https://{host}/import?strict=0"


def test_only_the_import_shows_the_secret() -> None:
    assert TOOL.authorize is not None
    settings = {"apiSecret": "s", "projectToken": "t"}
    events = TOOL.authorize(
        Request("POST", "https://api.mixpanel.com/import?strict=1"), settings, ""
    )
    assert events.headers["Authorization"] == "Basic czo="
    person = TOOL.authorize(Request("POST", "https://api.mixpanel.com/engage"), settings, "")
    assert not person.headers


def test_identify_joins_ids_then_sets_traits() -> None:
    payload: Payload = {
        "anonymous_id": "a",
        "user_id": "u",
        "traits": {"firstName": "Ann", "lastName": "Li", "createdAt": "2025", "plan": "gold"},
    }
    joined, person = (_data(request) for request in _do("identifyUser", payload).requests)
    assert joined["properties"] == {"$identified_id": "u", "$anon_id": "a", "token": "token"}
    assert person["$set"] == {
        "plan": "gold",
        "$first_name": "Ann",
        "$last_name": "Li",
        "$name": "Ann Li",
        "$created": "2025",
    }


@pytest.mark.parametrize("steps", [{"a": "many"}, {str(n): n for n in range(21)}])
def test_increments_are_numbers_and_few(steps: dict[str, Json]) -> None:
    assert isinstance(_do("incrementProperties", {"increment": steps}).error, InvalidPayload)


@pytest.mark.parametrize(
    ("agent", "browser", "version"),
    [
        ("Mozilla/5.0 Chrome/126.0 Edg/126.0.2592.56", "Microsoft Edge", "126.0.2592.56"),
        ("Mozilla/5.0 Gecko/20100101 Firefox/127.0", "Firefox", "127.0"),
        ("Opera Mini OPR/1.2", "Opera Mini", None),
        ("curl/8.5.0", "", None),
    ],
)
def test_browsers(agent: str, browser: str, version: str | None) -> None:
    assert (browser_of(agent), version_of(agent)) == (browser, version)
