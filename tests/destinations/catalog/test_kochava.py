"""Kochava against its strict fake."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from penstock.destinations.catalog.kochava import DESTINATION
from penstock.destinations.model import MappingSetup
from tests.destinations.fakes.feeding import GONE, Fed, changed, feed, refusal
from tests.destinations.fakes.kochava import GUID, api
from tests.destinations.reference import generation

CONTEXT: dict[str, Any] = {
    "device": {
        "type": "ios",
        "id": "V-1",
        "advertisingId": "07F5A855-1375-4E51-9F15-0EFD4E5C84F4",
        "adTrackingEnabled": False,
        "attTrackingStatus": 3,
        "model": "iPhone15,2",
    },
    "os": {"name": "iOS", "version": "17.1"},
    "app": {"version": "2.3.1"},
    "ip": "203.0.113.7",
    "userAgent": "Toast/2 (iPhone; a/b)",
}


def track(event: str, /, **properties: Any) -> dict[str, Any]:
    return {
        "type": "track",
        "event": event,
        "messageId": "m1",
        "userId": "ann",
        "timestamp": "2026-03-04T05:06:07.089Z",
        "context": CONTEXT,
        "properties": properties,
    }


def send(*given: dict[str, Any], mappings: list[MappingSetup] | None = None) -> Fed:
    return feed(DESTINATION, {"kochava_app_id": GUID}, given, api, mappings)


def test_events_of_every_kind_are_taken() -> None:
    fed = send(*(each for seed in (79, 83) for each in generation.events(seed, others=60)))
    assert fed.refusals == []
    assert len(fed.sent("event")) > 150 and len(fed.sent("identityLink")) > 20
    assert len(fed.sent("install")) >= 2
    assert all("needs the device" in error for error in fed.errors)
    assert len(fed.invalid) < len(fed.driven) / 10


def test_an_order() -> None:
    products = [{"product_id": "p1", "name": "Toast"}, {"sku": "p2", "name": "Jam"}]
    (request,) = send(
        track("Order Completed", total=31.5, currency="NOK", campaign="x", products=products)
    ).requests
    assert request.url == "https://control.kochava.com/track/json"
    assert request.json == {
        "action": "event",
        "kochava_app_id": GUID,
        "kochava_device_id": "V-1",
        "data": {
            "event_name": "Purchase",
            "event_data": {
                "total": 31.5,
                "products": products,
                "sum": 31.5,
                "currency": "NOK",
                "content_id": "p1,p2",
                "name": "Toast,Jam",
                "user_id": "ann",
            },
            "currency": "NOK",
            "usertime": 1772600767,
            "device_ids": {"idfa": "07F5A855-1375-4E51-9F15-0EFD4E5C84F4", "idfv": "V-1"},
            "device_ua": "Toast%2F2%20%28iPhone%3B%20a%2Fb%29",
            "device_ver": "iPhone15,2-iOS-17.1",
            "origination_ip": "203.0.113.7",
            "app_version": "2.3.1",
            "device_limit_tracking": True,
            "app_tracking_transparency": {"att": True},
        },
    }


def test_an_install_on_android() -> None:
    device = {"type": "Android", "id": "f2cc", "advertisingId": "00000000-0000"}
    event = {**track("Application Installed"), "context": {"device": device}}
    (request,) = send(event).requests
    assert request.json["action"] == "install"
    assert request.json["data"] == {
        "usertime": 1772600767,
        "device_ids": {"android_id": "f2cc"},
        "device_ua": "",
        "device_ver": "",
        "origination_ip": "",
    }
    own = {
        "idfa": "I",
        "device_ver": "A-iOS-1",
        "att": False,
        "att_time": 1772600000,
        "ad_services_token": "t",
    }
    (request,) = send(event, mappings=[MappingSetup("install", fields=own)]).requests
    data = request.json["data"]
    assert data["device_ids"] == {"idfa": "I", "android_id": "f2cc"}
    assert data["device_ver"] == "A-iOS-1" and data["ad_services_token"] == "t"
    assert data["app_tracking_transparency"] == {"att": False, "att_time": 1772600000}


def test_other_events_keep_their_names() -> None:
    fed = send(track("Application Opened"), track("Push Notification Tapped", campaign={"a": 1}))
    names = [request.json["data"]["event_name"] for request in fed.requests]
    assert names == ["Application Opened", "Push Opened"]


def test_an_identity() -> None:
    event = {**track(""), "type": "identify", "traits": {"email": "ann@toast.test"}}
    (request,) = send(event).requests
    assert request.url == "https://control.kochava.com/v1/cpi/identityLink.php"
    assert request.json == {
        "kochava_app_id": GUID,
        "device_id": {"idfa": "07F5A855-1375-4E51-9F15-0EFD4E5C84F4", "idfv": "V-1"},
        "data": {"user_id": "ann"},
    }
    nobody = [MappingSetup("identityLink", trigger='type = "identify"')]
    fed = send({**event, "userId": None}, mappings=nobody)
    assert fed.requests == [] and "no identity" in fed.errors[0]


def test_without_a_device_nothing_is_sent() -> None:
    fed = send({**track("x"), "context": {"device": {"type": "fridge", "id": "f"}}})
    assert fed.requests == [] and "needs the device" in fed.errors[0]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("action", "buy"),
        ("kochava_app_id", GONE),
        ("kochava_app_id", "other"),
        ("data.event_name", GONE),
        ("data.device_ids", {}),
        ("data.device_ids.email", "ann@toast.test"),
        ("data.device_ua", "Toast/2 (iPhone)"),
        ("data.origination_ip", GONE),
        ("data.usertime", "2026-03-04"),
        ("data.usertime", 1772600767089),
        ("data.event_data", {"network": "x"}),
        ("data.event_data", {"sum": "31.5"}),
        ("data.event_value", 1),
    ],
)
def test_the_fake_refuses(place: str, value: Any) -> None:
    (request,) = send(track("Order Completed", total=1)).requests
    assert refusal(api, request) == ""
    assert refusal(api, changed(request, place, value))
    assert refusal(api, replace(request, url=request.url + "/"))
