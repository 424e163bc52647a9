"""Facebook offline conversions against a strict Conversions API."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from penstock.destinations import registry
from penstock.destinations.contract import Call, InvalidPayload, Payload
from penstock.destinations.payloads import compile_payload
from penstock.destinations.setup import check_settings
from tests.destinations.fakes.facebook_graph import TOKEN, events
from tests.destinations.fakes.strict import NOW, Driven, drive
from tests.destinations.reference.generation import event_of

TOOL = registry.definition("facebook-offline-conversions")
SETTINGS = check_settings(TOOL, {"pixelId": "123", "accessToken": TOKEN})
PURCHASE = compile_payload(TOOL.action("purchase"), {"currency": "EUR"})
LEAD = compile_payload(TOOL.action("custom"), {"event_name": "Lead", "upload_tag": "May"})


def _send(slug: str, *payloads: Payload) -> Driven:
    return drive(TOOL, slug, Call(payloads, SETTINGS, NOW, lambda: "id"), events)


def _order(number: int) -> dict[str, Any]:
    event = event_of("Order Completed", 5, number)
    return event | {"userId": f"u{number}", "timestamp": "2026-03-01T10:00:00.5Z"}


def test_facebook_takes_the_purchases_of_generated_orders() -> None:
    outcomes: Counter[str] = Counter()
    for number in range(200):
        try:
            payload = PURCHASE(_order(number))
        except InvalidPayload:
            outcomes["no payload"] += 1
            continue
        driven = _send("purchase", payload)
        if isinstance(driven.error, InvalidPayload):
            outcomes["held back"] += 1
            continue
        assert driven.refusals == [], number
        told = driven.requests[0].json["data"][0]
        assert told["action_source"] == "physical_store"
        outcomes["taken"] += 1
    assert outcomes["taken"] >= 60, outcomes


def test_facebook_takes_other_events_with_an_upload_tag() -> None:
    taken = 0
    for number in range(60):
        event = event_of("Signed Up", 5, number) | {
            "anonymousId": f"a{number}",
            "timestamp": "2026-01-02T00:00:00Z",
        }
        try:
            payload = LEAD(event)
        except InvalidPayload:
            continue
        driven = _send("custom", payload)
        assert driven.refusals == [], number
        assert driven.requests[0].json["upload_tag"] == "May"
        taken += 1
    assert taken >= 40


def test_the_person_may_stand_in_the_properties() -> None:
    event = _order(0) | {"context": {}}
    event["properties"] = {"revenue": 5, "email": "Ann@Toast.test", "phone": "+47 22 33 44 55"}
    told = _send("purchase", PURCHASE(event)).requests[0].json["data"][0]
    assert {"em", "ph", "external_id"} <= told["user_data"].keys()
    assert told["event_time"] == int(told["event_time"])


def test_the_fake_refuses_what_facebook_refuses() -> None:
    good = PURCHASE(_order(0) | {"properties": {"revenue": 5}})
    assert _send("purchase", dict(good)).refusals == []
    old = good | {"event_time": "2025-12-31T00:00:00Z"}
    assert "too old" in _send("purchase", old).refusals[0]
    assert "knows nobody" in _send("purchase", good | {"user_data": {}}).refusals[0]
    wrong = replace(TOOL, authorize=None)
    call = Call([dict(good)], SETTINGS, NOW, lambda: "id")
    assert "token" in drive(wrong, "purchase", call, events).refusals[0]


def test_of_a_batch_only_the_old_event_fails() -> None:
    payloads = [PURCHASE(_order(0) | {"properties": {"revenue": 5}}) for _ in range(6)]
    payloads[4]["event_time"] = "2025-12-31T00:00:00Z"
    driven = _send("purchase", *payloads)
    assert set(driven.failures) == {4}
