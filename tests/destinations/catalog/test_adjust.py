"""Adjust against its strict fake."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from penstock.destinations.catalog.adjust import DESTINATION
from penstock.destinations.model import MappingSetup
from tests.destinations.fakes.adjust import TOKEN, event
from tests.destinations.fakes.feeding import GONE, Fed, changed, feed, refusal
from tests.destinations.reference import generation

SETTINGS = {"default_app_token": "4w565xzmb54d", "s2s_token": TOKEN}
DEVICE = {"type": "ios", "id": "V-1", "advertisingId": "D2CADB5F"}
ORDER: dict[str, Any] = {
    "type": "track",
    "event": "Order Completed",
    "messageId": "m1",
    "timestamp": "2026-03-04T05:06:07.089Z",
    "context": {"device": DEVICE, "ip": "203.0.113.7"},
    "properties": {"revenue": 12.5, "currency": "NOK", "size": 3},
}


def send(*events: dict[str, Any], **fields: Any) -> Fed:
    chosen = {"event_token": "f0ob4r", **fields}
    mapping = MappingSetup("sendEvent", trigger='type = "track"', fields=chosen)
    return feed(DESTINATION, SETTINGS, events, event, [mapping])


def test_events_of_every_kind_are_taken() -> None:
    given = [each for seed in (47, 53) for each in generation.events(seed)]
    fed = send(*given, currency="EUR", device_type="android")
    assert fed.refusals == [] and len(fed.requests) > 50
    assert all("needs the device" in error for error in fed.errors)


def test_an_order_on_ios() -> None:
    (request,) = send(ORDER, callback_params={"@path": "$.properties"}).requests
    assert request.form is not None
    form = dict(request.form)
    assert json.loads(form.pop("callback_params"))["size"] == "3"
    assert form == {
        "app_token": "4w565xzmb54d",
        "event_token": "f0ob4r",
        "s2s": "1",
        "environment": "production",
        "created_at_unix": "1772600767",
        "idfa": "D2CADB5F",
        "idfv": "V-1",
        "ip_address": "203.0.113.7",
        "revenue": "12.5",
        "currency": "NOK",
    }


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"event_token": None}, "event_token"),
        ({"device_type": "fridge"}, "ios and android"),
        ({"device_id": None, "advertising_id": None}, "needs the device"),
        ({"timestamp": "soon"}, "no time"),
    ],
)
def test_what_adjust_would_refuse_is_not_sent(fields: dict[str, Any], said: str) -> None:
    fed = send(ORDER, **fields)
    assert fed.requests == [] and said in fed.errors[0]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("app_token", GONE),
        ("event_token", "x"),
        ("s2s", GONE),
        ("created_at_unix", "2026-03-04"),
        ("revenue", "much"),
        ("callback_params", "[1]"),
        ("email", "ann@toast.test"),
    ],
)
def test_the_fake_refuses(place: str, value: Any) -> None:
    (request,) = send(ORDER).requests
    assert refusal(event, request) == ""
    assert refusal(event, changed(request, place, value))
    assert refusal(event, replace(request, headers={}))
