"""Datadog against its strict fake."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from penstock.destinations.catalog.datadog import DESTINATION
from penstock.destinations.model import MappingSetup
from tests.destinations.fakes.datadog import KEY, events
from tests.destinations.fakes.feeding import GONE, Fed, changed, feed, refusal
from tests.destinations.fakes.strict import NOW
from tests.destinations.reference import generation


def track(**more: Any) -> dict[str, Any]:
    return {
        "type": "track",
        "event": "Order Completed",
        "messageId": "m1",
        "timestamp": "2026-03-04T05:00:00.089Z",
        "properties": {"total": 9.5, "note": "Brød"},
    } | more


def send(*given: dict[str, Any], fields: dict[str, Any] | None = None, **settings: str) -> Fed:
    mapping = MappingSetup("postEvent", fields=fields or {})
    return feed(DESTINATION, {"apiKey": KEY, **settings}, given, events, [mapping])


def test_events_of_every_kind_are_taken() -> None:
    given = list(generation.events(seed=41))
    tracks = sum(event["type"] == "track" for event in given)
    fed = send(*given)
    assert fed.refusals == [] and fed.invalid == []
    old = "Datadog takes no events older than 18 hours"
    assert set(fed.errors) == {old}
    assert len(fed.requests) + len(fed.errors) == tracks and len(fed.requests) > tracks / 3
    now = {"timestamp": NOW.isoformat()}
    assert len(send(*(event | now for event in given)).requests) == tracks


def test_an_event() -> None:
    fields = {"tags": ["shop:no", "env:test"], "alert_type": "SUCCESS", "priority": "low"}
    (request,) = send(track(), fields=fields, tags="env:test, team:shop").requests
    assert request.url == "https://api.datadoghq.com/api/v1/events"
    assert request.json == {
        "title": "Order Completed",
        "text": '{"total":9.5,"note":"Brød"}',
        "alert_type": "success",
        "priority": "low",
        "tags": ["env:test", "team:shop", "shop:no"],
        "date_happened": 1772600400,
    }


@pytest.mark.parametrize("site", ["datadoghq.eu", "us5.datadoghq.com", "us2.ddog-gov.com"])
def test_sites(site: str) -> None:
    fed = send(track(), site=site)
    assert fed.refusals == [] and fed.requests[0].url == f"https://api.{site}/api/v1/events"


def test_what_is_too_long_is_cut_and_what_is_too_old_is_not_sent() -> None:
    fields = {"text": "x" * 5000, "aggregation_key": "k" * 200, "alert_type": "panic"}
    (request,) = send(track(), fields=fields).requests
    assert (len(request.json["text"]), len(request.json["aggregation_key"])) == (4000, 100)
    assert "alert_type" not in request.json
    (request,) = send(track(properties=None)).requests
    assert request.json["text"]
    old = (NOW - timedelta(hours=18, seconds=1)).isoformat()
    assert "18 hours" in send(track(timestamp=old)).errors[0]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("title", GONE),
        ("text", GONE),
        ("text", "x" * 4001),
        ("alert_type", "panic"),
        ("priority", "high"),
        ("date_happened", "2026-03-04T05:00:00Z"),
        ("date_happened", 1772500000),
        ("tags", "env:test"),
        ("aggregation_key", "k" * 101),
        ("user", "u1"),
    ],
)
def test_the_fake_refuses(place: str, value: Any) -> None:
    (request,) = send(track()).requests
    assert refusal(events, request) == ""
    assert refusal(events, changed(request, place, value))


def test_the_fake_wants_the_key_at_a_site() -> None:
    (request,) = send(track()).requests
    assert refusal(events, replace(request, headers={}))
    assert refusal(events, replace(request, headers={"DD-API-KEY": "other"}))
    assert refusal(events, replace(request, url="https://api.datadoghq.org/api/v1/events"))
