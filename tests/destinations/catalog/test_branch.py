"""Branch against its strict fake."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from penstock.destinations.catalog.branch import DESTINATION
from penstock.destinations.model import MappingSetup
from tests.destinations.fakes.branch import KEY, event
from tests.destinations.fakes.feeding import GONE, Fed, changed, feed, refusal
from tests.destinations.reference import generation

CONTEXT: dict[str, Any] = {
    "device": {
        "type": "android",
        "id": "a1",
        "advertisingId": "9c9a82fb",
        "adTrackingEnabled": True,
        "manufacturer": "Google",
        "model": "Pixel 8",
    },
    "os": {"name": "Android", "version": "14"},
    "app": {"version": "2.3.1"},
    "screen": {"width": 390, "height": 844, "density": 2.5},
    "locale": "nb-NO",
    "ip": "203.0.113.7",
}


def track(event: str, /, **properties: Any) -> dict[str, Any]:
    return {
        "type": "track",
        "event": event,
        "messageId": "m1",
        "userId": "ann",
        "context": CONTEXT,
        "properties": properties,
    }


def send(
    *given: dict[str, Any], mappings: list[MappingSetup] | None = None, **settings: Any
) -> Fed:
    return feed(DESTINATION, {"branch_key": KEY, **settings}, given, event, mappings)


def test_events_of_every_kind_are_taken() -> None:
    fed = send(*(each for seed in (71, 73) for each in generation.events(seed)))
    assert fed.refusals == []
    assert len(fed.sent("standardEvent")) > 50 and len(fed.sent("customEvent")) > 150
    assert all("needs the user or the device" in error for error in fed.errors)
    assert len(fed.invalid) < len(fed.driven) / 10


def test_an_order() -> None:
    order = track(
        "Order Completed",
        order_id="o-1",
        total=31.5,
        currency="NOK",
        gift={"wrapped": True},
        products=[
            {"product_id": "p1", "name": "Sock", "category": "Apparel & Accessories", "price": 10},
            {"sku": "p2", "category": "Jam", "quantity": 2},
        ],
    )
    (request,) = send(order).requests
    assert request.url == "https://api2.branch.io/v2/event/standard" and not request.headers
    assert request.json == {
        "branch_key": KEY,
        "name": "PURCHASE",
        "user_data": {
            "os": "Android",
            "os_version": "14",
            "environment": "FULL_APP",
            "aaid": "9c9a82fb",
            "android_id": "a1",
            "limit_ad_tracking": False,
            "developer_identity": "ann",
            "language": "nb",
            "country": "NO",
            "ip": "203.0.113.7",
            "brand": "Google",
            "model": "Pixel 8",
            "app_version": "2.3.1",
            "screen_dpi": 2.5,
            "screen_height": 844,
            "screen_width": 390,
        },
        "event_data": {"transaction_id": "o-1", "revenue": 31.5, "currency": "NOK"},
        "content_items": [
            {
                "$content_schema": "COMMERCE_PRODUCT",
                "$canonical_identifier": "p1",
                "$sku": "p1",
                "$product_name": "Sock",
                "$og_title": "Sock",
                "$price": 10,
                "$product_category": "APPAREL_AND_ACCESSORIES",
            },
            {
                "$content_schema": "COMMERCE_PRODUCT",
                "$sku": "p2",
                "$quantity": 2,
                "$custom_fields": '{"category": "Jam"}',
            },
        ],
        "custom_data": {
            "order_id": "o-1",
            "total": "31.5",
            "currency": "NOK",
            "gift": '{"wrapped": true}',
        },
    }


def test_a_product_is_the_content() -> None:
    (request,) = send(track("Product Added", product_id="p1", price=3)).requests
    assert request.json["name"] == "ADD_TO_CART"
    (item,) = request.json["content_items"]
    assert (item["$sku"], item["$price"]) == ("p1", 3)


def test_other_events_and_other_devices() -> None:
    apple = {"device": {"type": "iOS", "id": "V", "advertisingId": "0000-00"}}
    site = {"os": {"name": "Mac OS X"}, "page": {"url": "https://toast.test/"}, "locale": "en"}
    first, second = send(
        {**track("Application Opened"), "context": apple, "userId": None},
        {**track("Application Opened"), "context": site},
        region="eu",
    ).requests
    assert first.url == "https://api3-eu.branch.io/v2/event/custom"
    assert first.json["name"] == "Application Opened"
    assert first.json["user_data"] == {"os": "iOS", "environment": "FULL_APP", "idfv": "V"}
    assert second.json["user_data"] == {
        "os": "MAC_OS",
        "developer_identity": "ann",
        "language": "en",
        "http_origin": "https://toast.test/",
    }


def test_the_address_may_go_in_a_header_and_consent_may_be_told() -> None:
    consent = {"dma_eea": True, "dma_ad_personalization": False, "dma_ad_user_data": True}
    fields = {"user_data": {"ip": {"@path": "$.context.ip"}, **consent}}
    (request,) = send(
        track("x"), mappings=[MappingSetup("customEvent", fields=fields)], override_ip=True
    ).requests
    assert request.headers["X-IP-Override"] == "203.0.113.7"
    assert consent.items() <= request.json["user_data"].items()


def test_nobody_is_not_sent() -> None:
    fed = send({**track("x"), "userId": None, "context": {"device": {"type": "tv", "id": "t"}}})
    assert fed.requests == [] and "needs the user or the device" in fed.errors[0]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("branch_key", GONE),
        ("branch_key", "key_test_other"),
        ("name", "BUY"),
        ("user_data", GONE),
        ("user_data.os", "Windows Phone"),
        ("user_data.screen_dpi", "2"),
        ("user_data.dma_eea", True),
        ("user_data.email", "ann@toast.test"),
        ("event_data.revenue", "31.5"),
        ("event_data.order_id", "o"),
        ("content_items.0.$product_category", "Jam"),
        ("content_items.0.price", 1),
        ("custom_data", {"gift": True}),
        ("timestamp", 1),
    ],
)
def test_the_fake_refuses(place: str, value: Any) -> None:
    (request,) = send(track("Order Completed", revenue=1, products=[{"sku": "a"}])).requests
    assert refusal(event, request) == ""
    assert refusal(event, changed(request, place, value))


def test_the_fake_knows_who_is_meant() -> None:
    (request,) = send(track("Order Completed")).requests
    nobody = json.loads(json.dumps(request.json))
    for key in ("developer_identity", "aaid", "android_id"):
        del nobody["user_data"][key]
    assert "identifiers" in refusal(event, replace(request, json=nobody))
    assert refusal(event, replace(request, headers={"X-IP-Override": "192.0.2.1"}))
    assert refusal(event, replace(request, url=request.url.replace("standard", "commerce")))
