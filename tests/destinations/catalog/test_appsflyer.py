"""AppsFlyer against its strict fake."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest

from penstock.destinations.catalog.appsflyer import DESTINATION
from penstock.destinations.model import MappingSetup
from tests.destinations.fakes.appsflyer import ANDROID, IOS, KEY, inappevent
from tests.destinations.fakes.feeding import GONE, Fed, changed, feed, refusal
from tests.destinations.reference import generation

SETTINGS = {"key": KEY, "ios_app_id": "123456789", "android_app_id": ANDROID}
INSTALL = "1415211453000-6513894"
IDFA = "D2CADB5F-410F-4963-AC0C-2A78534BDF1E"
CONTEXT: dict[str, Any] = {
    "device": {"type": "ios", "id": IDFA.lower(), "advertisingId": IDFA, "attTrackingStatus": 3},
    "os": {"name": "iOS", "version": "17.1"},
    "app": {"version": "2.3.1", "namespace": "test.toast"},
    "ip": "203.0.113.7",
}


def track(event: str, /, **properties: Any) -> dict[str, Any]:
    return {
        "type": "track",
        "event": event,
        "messageId": "m1",
        "userId": "ann",
        "timestamp": "2026-03-04T06:06:07.089+01:00",
        "context": CONTEXT,
        "integrations": {"AppsFlyer": {"appsFlyerId": INSTALL}},
        "properties": properties,
    }


def send(*given: dict[str, Any], settings: dict[str, Any] | None = None, **fields: Any) -> Fed:
    mappings = [MappingSetup("sendEvent", fields=fields)] if fields else None
    return feed(DESTINATION, settings or SETTINGS, given, inappevent, mappings)


def values(fed: Fed) -> dict[str, Any]:
    (request,) = fed.requests
    found: dict[str, Any] = json.loads(request.json["eventValue"])
    return found


def test_events_of_every_kind_are_taken() -> None:
    given = [each for seed in (61, 67) for each in generation.events(seed)]
    for each in given:
        each["integrations"] = {"AppsFlyer": {"appsFlyerId": INSTALL}}
        each["context"].setdefault("os", {"name": "iOS", "version": "17.1"})
    fed = send(*given)
    assert fed.refusals == [] and len(fed.requests) > 400
    assert {request.url.rsplit("/", 1)[1] for request in fed.requests} == {IOS, ANDROID}
    assert len(fed.errors) < len(fed.requests) / 20
    for error in fed.errors:
        assert "no code of ISO 4217" in error or "needs the app" in error, error


def test_an_order() -> None:
    order = track(
        "Order Completed",
        order_id="o-1",
        total=31.5,
        currency="nok",
        gift=True,
        products=[
            {"product_id": "p1", "name": "Toast", "price": 10, "quantity": 2},
            {"product_id": "p2", "name": "Jam", "price": 11.5, "quantity": 1},
        ],
    )
    (request,) = send(order).requests
    assert request.url == f"https://api3.appsflyer.com/inappevent/{IOS}"
    told = json.loads(request.json.pop("eventValue"))
    assert told == {
        "af_revenue": "31.5",
        "af_currency": "NOK",
        "af_order_id": "o-1",
        "af_content_id": ["p1", "p2"],
        "af_content": ["Toast", "Jam"],
        "af_price": [10, 11.5],
        "af_quantity": [2, 1],
        "order_id": "o-1",
        "total": 31.5,
        "currency": "nok",
        "gift": True,
    }
    assert request.json == {
        "appsflyer_id": INSTALL,
        "customer_user_id": "ann",
        "eventName": "af_purchase",
        "eventTime": "2026-03-04 05:06:07.089",
        "eventCurrency": "NOK",
        "idfa": IDFA,
        "idfv": IDFA,
        "att": 3,
        "ip": "203.0.113.7",
        "os": "17.1",
        "app_version_name": "2.3.1",
        "bundleIdentifier": "test.toast",
    }


def test_a_refund_is_below_zero() -> None:
    fed = send(track("Order Refunded", total=20, currency="EUR"))
    assert fed.requests[0].json["eventName"] == "cancel_purchase"
    assert values(fed)["af_revenue"] == "-20"


def test_a_product_and_other_events() -> None:
    viewed = values(send(track("Product Viewed", sku="s1", price=3, category="Jam", name="Fig")))
    assert viewed["af_content_id"] == "s1" and viewed["af_content_type"] == "Jam"
    (request,) = send(track("Application Opened")).requests
    assert (request.json["eventName"], request.json["eventValue"]) == ("Application Opened", "")


def test_an_android_device_and_external_ids() -> None:
    event = track("Signed Up", method="mail")
    device = {"type": "Android", "id": "android-id", "advertisingId": "9c9a82fb-d5de"}
    ids = [{"type": "ga_client_id", "id": "G1"}, {"type": "appsflyerExternalId", "id": INSTALL}]
    event |= {"context": {"device": device, "externalIds": ids, "ip": "::1"}, "integrations": {}}
    (request,) = send(event, settings=SETTINGS | {"api": "v2"}).requests
    assert request.url == f"https://api2.appsflyer.com/inappevent/{ANDROID}"
    assert request.json["advertising_id"] == "9c9a82fb-d5de" and request.json["eventName"] == (
        "af_complete_registration"
    )
    assert not {"idfa", "idfv", "ip", "android_id"} & set(request.json)
    zeros = {**device, "advertisingId": "00000000-0000-0000-0000-000000000000"}
    (request,) = send(event | {"context": {"device": zeros, "externalIds": ids}}).requests
    assert "advertising_id" not in request.json


def test_people_are_hashed_and_consent_is_told() -> None:
    (request,) = send(
        track("x"),
        email=" Ann@Toast.test",
        phone="+1 (650) 555-1212",
        first_name="Ann",
        consent={"gdpr_applies": True, "ad_user_data_enabled": False},
        sharing_filter=["all"],
        custom_data={"a": 1},
    ).requests
    hashed = {
        key: hashlib.sha256(text.encode()).hexdigest()
        for key, text in {
            "email_hashed": "ann@toast.test",
            "phone_number_hashed": "16505551212",
            "first_name_hashed": "ann",
        }.items()
    }
    assert hashed.items() <= request.json.items()
    assert request.json["phone_number_hashed"] == (
        "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176"
    ), "the example of the documentation"
    assert request.json["consent_data"] == {
        "manual": {"gdpr_applies": True, "ad_user_data_enabled": False}
    }
    assert request.json["sharing_filter"] == "all" and request.json["custom_data"] == '{"a":1}'
    stored = {"tcf": {"policy_version": 4, "gdpr_applies": 1, "tcstring": "CP"}}
    (request,) = send(track("x"), consent=stored, sharing_filter="twitter").requests
    assert request.json["consent_data"] == stored and request.json["sharing_filter"] == ["twitter"]


def test_long_properties_make_way() -> None:
    told = values(send(track("Order Completed", revenue=1, currency="EUR", note="x" * 900, a="b")))
    assert told["af_revenue"] == "1" and told["a"] == "b" and "note" not in told
    fed = send(track("Order Completed", order_id="o" * 1024))
    assert fed.requests == [] and "1024 bytes" in fed.errors[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"integrations": {}}, "needs its id of the install"),
        ({"context": {"device": {"type": "fridge"}}}, "map platform to ios or android"),
        ({"properties": {"revenue": 1, "currency": "gold"}}, "no code of ISO 4217"),
    ],
)
def test_what_appsflyer_would_not_record_is_not_sent(change: dict[str, Any], said: str) -> None:
    fed = send({**track("x"), **change})
    assert fed.requests == [] and said in fed.errors[0]


def test_the_app_must_be_known() -> None:
    fed = send(track("x"), settings={"key": KEY, "android_app_id": ANDROID})
    assert fed.requests == [] and "set ios_app_id" in fed.errors[0]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("appsflyer_id", GONE),
        ("appsflyer_id", "1"),
        ("eventName", GONE),
        ("eventValue", GONE),
        ("eventValue", {"af_revenue": "1"}),
        ("eventValue", '{"af_revenue":"1,000"}'),
        ("eventTime", "2026-03-04T05:06:07Z"),
        ("eventCurrency", "nok"),
        ("idfa", IDFA.lower()),
        ("email_hashed", "ann@toast.test"),
        ("ip", "::1"),
        ("att", 4),
        ("consent_data", {"manual": {"gdpr_applies": "yes"}}),
        ("sharing_filter", "twitter"),
        ("android_id", "a"),
        ("ua", "x" * 1024),
    ],
)
def test_the_fake_refuses(place: str, value: Any) -> None:
    (request,) = send(track("Order Completed", revenue=3, currency="NOK")).requests
    assert refusal(inappevent, request) == ""
    assert refusal(inappevent, changed(request, place, value))


def test_the_fake_knows_key_and_app() -> None:
    (request,) = send(track("x")).requests
    assert refusal(inappevent, replace(request, headers={}))
    assert refusal(inappevent, replace(request, url=request.url.replace("/id", "/")))
