"""Vero against its strict fake."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from penstock.destinations.catalog.vero import DESTINATION
from penstock.destinations.model import MappingSetup
from tests.destinations.fakes.feeding import GONE, Fed, changed, feed, refusal
from tests.destinations.fakes.vero import TOKEN, track_api
from tests.destinations.reference import generation

ROOT = "https://api.getvero.com/api/v2"
ANN = {"userId": "ann", "messageId": "m1", "timestamp": "2026-03-04T06:06:07.089+01:00"}


def event(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, **ANN, **more}


def send(*given: dict[str, Any], mappings: list[MappingSetup] | None = None) -> Fed:
    return feed(DESTINATION, {"auth_token": TOKEN}, given, track_api, mappings)


def test_events_of_every_kind_are_taken() -> None:
    fed = send(*(each for seed in (3, 5) for each in generation.events(seed, others=40)))
    assert fed.refusals == []
    assert set(fed.errors) == {
        "Vero needs the user: map id, or email to an address of mail",
    }
    assert len(fed.sent("identify")) > 40 and len(fed.sent("track")) > 200
    assert len(fed.sent("alias")) > 20 and len(fed.sent("unsubscribe")) >= 2
    assert len(fed.invalid) < len(fed.driven) / 10


def test_a_user() -> None:
    (request,) = send(
        event(
            "identify",
            traits={"email": " Ann@Toast.test", "plan": "pro", "timezone": "Asia/Tokyo"},
            context={
                "timezone": "Europe/Oslo",
                "locale": "nb-NO",
                "userAgent": "Browser/1",
                "device": {"token": "t-1", "type": "iOS"},
            },
        )
    ).requests
    assert (request.method, request.url) == ("POST", f"{ROOT}/users/track")
    assert request.json == {
        "auth_token": TOKEN,
        "id": "ann",
        "email": "Ann@Toast.test",
        "channels": [{"type": "push", "address": "t-1", "platform": "ios"}],
        "data": {
            "plan": "pro",
            "timezone": "Asia/Tokyo",
            "language": "nb-NO",
            "userAgent": "Browser/1",
        },
    }


def test_an_event_and_the_tags_it_names() -> None:
    tags = {"Vero": {"tags": {"add": ["buyer"], "remove": ["lead"]}}}
    order, tagged = send(
        event(
            "track",
            event="Order Completed",
            properties={"total": 12.5},
            context={"traits": {"email": "not an address"}},
            integrations=tags,
        )
    ).requests
    assert order.json == {
        "auth_token": TOKEN,
        "identity": {"id": "ann"},
        "event_name": "Order Completed",
        "data": {"total": 12.5},
        "extras": {"created_at": "2026-03-04T05:06:07+0000"},
    }
    assert (tagged.method, tagged.url) == ("PUT", f"{ROOT}/users/tags/edit")
    assert tagged.json == {
        "auth_token": TOKEN,
        "id": "ann",
        "add": ["buyer"],
        "remove": ["lead"],
    }


def test_pages_and_screens_are_events() -> None:
    fed = send(
        event("page", name="Home", category="Docs"), event("page"), event("screen", name="Basket")
    )
    names = [request.json["event_name"] for request in fed.requests]
    assert names == ["Viewed Docs Home Page", "Viewed Page", "Viewed Basket Screen"]


def test_subscriptions_and_aliases() -> None:
    fed = send(
        event("track", event="Unsubscribed"),
        event("track", event="Resubscribe"),
        event("alias", previousId="old"),
    )
    told = [(each.method, each.url.removeprefix(ROOT), each.json) for each in fed.requests]
    known = {"auth_token": TOKEN, "id": "ann"}
    assert told == [
        ("POST", "/users/unsubscribe", known),
        ("POST", "/users/resubscribe", known),
        ("PUT", "/users/reidentify", {"auth_token": TOKEN, "id": "old", "new_id": "ann"}),
    ]


def test_what_has_no_preset() -> None:
    chosen = [MappingSetup("delete"), MappingSetup("editTags", fields={"add_tags": "a"})]
    deleted, tagged = send(event("track", event="User Deleted"), mappings=chosen).requests
    assert deleted.url == f"{ROOT}/users/delete" and tagged.json["add"] == ["a"]
    fed = send(event("track", event="x"), mappings=[MappingSetup("editTags")])
    assert fed.requests == [] and "no tag" in fed.errors[0]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (event("track", event="x", userId="u" * 255), "id has more than 254"),
        (event("track", event="x" * 255), "event_name must have"),
        (event("track", event=" "), "event_name must have"),
        (event("alias", previousId="o" * 300), "more than 254"),
    ],
)
def test_what_vero_would_refuse_is_not_sent(given: dict[str, Any], said: str) -> None:
    fed = send(given)
    assert fed.requests == [] and said in fed.errors[0]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("identity", {}),
        ("identity.id", 7),
        ("identity.email", "ann"),
        ("event_name", GONE),
        ("event_name", "x" * 255),
        ("data", []),
        ("extras.created_at", "2026-03-04"),
        ("auth_token", "other"),
        ("name", "x"),
    ],
)
def test_the_fake_refuses(place: str, value: Any) -> None:
    (request,) = send(event("track", event="x", properties={"a": 1})).requests
    assert refusal(track_api, request) == ""
    assert refusal(track_api, changed(request, place, value))
    assert refusal(track_api, replace(request, method="PUT"))
