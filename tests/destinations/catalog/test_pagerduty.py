"""PagerDuty against its strict fake."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from penstock.destinations.catalog.pagerduty import DESTINATION
from penstock.destinations.model import MappingSetup
from tests.destinations.fakes.feeding import GONE, Fed, changed, feed, refusal
from tests.destinations.fakes.pagerduty import KEY, events
from tests.destinations.fakes.strict import NOW
from tests.destinations.reference import generation

ALERT = [MappingSetup("alert", fields={"links": {"@path": "$.properties.links"}})]
CHANGE = [MappingSetup("change", fields={"links": {"@path": "$.properties.links"}})]


def track(**properties: Any) -> dict[str, Any]:
    return {
        "type": "track",
        "event": "Payment failed",
        "messageId": "m1",
        "timestamp": "2026-03-04T05:06:07.089Z",
        "properties": properties,
    }


def send(*given: dict[str, Any], mappings: list[MappingSetup] = ALERT, **settings: str) -> Fed:
    return feed(DESTINATION, {"routing_key": KEY, **settings}, given, events, mappings)


def test_events_of_every_kind_are_taken() -> None:
    given = list(generation.events(seed=23))
    tracks = sum(event["type"] == "track" for event in given)
    fed = send(*given, mappings=ALERT + CHANGE)
    assert fed.refusals == [] and fed.errors == []
    assert len(fed.sent("alert")) + len(fed.sent("change")) + len(fed.invalid) == 2 * tracks
    assert len(fed.invalid) < tracks / 50, "only where a field has no usable value"


def test_nothing_is_sent_unasked() -> None:
    assert feed(DESTINATION, {"routing_key": KEY}, [track()], events).driven == []


def test_an_alert_is_opened_and_closed_by_its_key() -> None:
    fed = send(
        track(dedup_key="shop/payments", severity="WARNING", source="shop-1", component="psp"),
        track(dedup_key="shop/payments", action="acknowledge"),
        track(dedup_key="shop/payments", action="resolve"),
    )
    opened, seen, closed = (request.json for request in fed.requests)
    assert fed.refusals == []
    assert opened["payload"]["severity"] == "warning" and opened["payload"]["source"] == "shop-1"
    assert opened["payload"]["summary"] == "Payment failed"
    assert opened["payload"]["timestamp"] == "2026-03-04T05:06:07.089000+00:00"
    assert [each["dedup_key"] for each in (opened, seen, closed)] == ["shop/payments"] * 3
    assert [each["event_action"] for each in (seen, closed)] == ["acknowledge", "resolve"]
    assert set(closed) == {"routing_key", "dedup_key", "event_action"}


def test_without_a_key_the_message_id_keeps_it_from_being_opened_twice() -> None:
    (request,) = send(track()).requests
    assert request.json["dedup_key"] == "m1"
    assert request.json["payload"]["source"] == "penstock"
    assert request.json["payload"]["severity"] == "critical"
    (error,) = send(track(action="resolve")).errors
    assert "dedup_key" in error
    assert "255" in send(track(dedup_key="k" * 256)).invalid[0]


def test_links_and_images_that_cannot_be_shown_do_not_stop_the_alert() -> None:
    mapping = MappingSetup(
        "alert", fields={"images": {"@path": "$.properties.images"}, **ALERT[0].fields}
    )
    given = track(
        links=[{"href": "https://a.test", "text": "a"}, {"text": "b"}],
        images=[{"src": "http://a.test/x.png"}],
    )
    (request,) = send(given, mappings=[mapping]).requests
    assert request.json["links"] == [{"href": "https://a.test", "text": "a"}]
    assert "images" not in request.json


def test_a_long_summary_is_cut() -> None:
    (request,) = send({**track(), "event": "x" * 2000}).requests
    assert len(request.json["payload"]["summary"]) == 1024


def test_a_change_in_europe() -> None:
    fed = send(
        track(source="ci", links=[{"href": "https://ci.test/2"}]), mappings=CHANGE, region="EU"
    )
    (request,) = fed.requests
    assert request.url == "https://events.eu.pagerduty.com/v2/change/enqueue"
    assert fed.refusals == [] and request.json["links"] == [{"href": "https://ci.test/2"}]
    old = {**track(), "timestamp": "2025-11-01T00:00:00Z"}
    assert (NOW.year, NOW.month) == (2026, 3)
    assert "90 days" in send(old, mappings=CHANGE).errors[0]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("routing_key", GONE),
        ("routing_key", "short"),
        ("event_action", "reopen"),
        ("dedup_key", "k" * 256),
        ("payload.summary", GONE),
        ("payload.severity", "fatal"),
        ("payload.custom_details", "text"),
        ("payload.timestamp", "yesterday"),
        ("payload.colour", "red"),
        ("links", [{"text": "no address"}]),
        ("images", [{"src": "http://a.test/x.png"}]),
        ("messageId", "m1"),
    ],
)
def test_the_fake_refuses(place: str, value: Any) -> None:
    (request,) = send(track()).requests
    assert refusal(events, request) == ""
    assert refusal(events, changed(request, place, value))


def test_the_fake_knows_its_addresses() -> None:
    (request,) = send(track(links=[{"href": "https://a.test"}]), mappings=CHANGE).requests
    assert refusal(events, replace(request, method="PUT"))
    assert refusal(events, replace(request, url="https://events.pagerduty.com/v1/enqueue"))
    assert refusal(events, changed(request, "images", [{"src": "https://a.test/x.png"}]))
