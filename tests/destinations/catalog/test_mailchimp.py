"""Mailchimp against its strict fake."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from penstock.destinations.catalog.mailchimp import DESTINATION
from penstock.destinations.model import MappingSetup
from tests.destinations.fakes.feeding import GONE, Fed, changed, feed, refusal
from tests.destinations.fakes.mailchimp import AUDIENCE, KEY, Audience
from tests.destinations.reference import generation

ANN = "ann@toast.test"
ALL = [MappingSetup(slug) for slug in ("upsertMember", "unsubscribe", "trackEvent")]


def event(kind: str, name: str = "", **properties: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "type": kind,
        "messageId": "m1",
        "timestamp": "2026-03-04T05:06:07.089Z",
        "context": {"traits": {"email": ANN}} if kind == "track" else {},
    }
    if kind == "track":
        return made | {"event": name, "properties": properties}
    return made | {"traits": {"email": ANN} | properties}


def send(
    *given: dict[str, Any],
    audience: Audience | None = None,
    mappings: list[MappingSetup] | None = None,
    **settings: Any,
) -> Fed:
    filled = {"apiKey": KEY, "listId": AUDIENCE, **settings}
    return feed(DESTINATION, filled, given, audience or Audience(), mappings)


def test_events_of_every_kind_are_taken() -> None:
    audience = Audience()
    fed = send(*generation.events(seed=29, others=60), audience=audience, mappings=ALL)
    assert fed.refusals == []
    assert len(fed.sent("upsertMember")) > 20 and len(fed.sent("trackEvent")) > 40
    assert set(fed.errors) <= {
        "email is no address of mail",
        'answered 404: {"title":"Resource Not Found"}',
    }
    assert len(fed.invalid) < len(fed.driven)


def test_a_member_is_known_by_the_hash_of_the_e_mail_in_small_letters() -> None:
    audience = Audience()
    spellings = (" Bob.Baker@Toast.Test ", "bob.baker@toast.test")
    fed = send(*(event("identify", email=each) for each in spellings), audience=audience)
    assert fed.refusals == [] and len(audience.members) == 1
    assert list(audience.members) == ["aee049fd244f66d5d03fb9f2c76e0c7f"]
    assert fed.requests[0].json["email_address"] == "Bob.Baker@Toast.Test"


def test_merge_fields() -> None:
    address = {"street": "1 Main St", "city": "Oslo", "state": "OS", "postalCode": "0150"}
    own = [
        MappingSetup(
            "upsertMember", fields={"merge_fields": {"fav-colour code": "blue", "N": 3, "L": [1]}}
        )
    ]
    traits: dict[str, Any] = {
        "firstName": "Ann",
        "last_name": "Lee",
        "phone": "+47 22",
        "birthday": "1990-12-31",
        "address": address,
    }
    (request,) = send(event("identify", **traits), mappings=own).requests
    assert request.json["merge_fields"] == {
        "FNAME": "Ann",
        "LNAME": "Lee",
        "PHONE": "+47 22",
        "BIRTHDAY": "12/31",
        "ADDRESS": {"addr1": "1 Main St", "city": "Oslo", "state": "OS", "zip": "0150"},
        "FAVCOLOURC": "blue",
        "N": 3,
    }
    del address["state"]
    (request,) = send(event("identify", address=address)).requests
    assert "merge_fields" not in request.json, "half an address would refuse the member"


def test_who_unsubscribed_stays_so() -> None:
    audience = Audience()
    fed = send(
        event("identify"), event("track", "Unsubscribed"), event("identify"), audience=audience
    )
    (member,) = audience.members.values()
    assert fed.refusals == [] and member["status"] == "unsubscribed"
    assert send(event("track", "Unsubscribed")).driven[0][1].skipped, "nobody to unsubscribe"
    chosen = [MappingSetup("upsertMember", fields={"status": "subscribed"})]
    send(event("identify"), audience=audience, mappings=chosen)
    assert next(iter(audience.members.values()))["status"] == "subscribed"


def test_confirmation_is_asked_for() -> None:
    (request,) = send(event("identify"), double_opt_in=True).requests
    assert request.json["status_if_new"] == "pending" and "status" not in request.json


def test_events_and_tags_of_a_member() -> None:
    audience = Audience()
    mappings = [*ALL, MappingSetup("tagMember", fields={"add": ["buyer"], "remove": "lead"})]
    told = event("track", "Order  Completed", total=19.5, gift=True, note="x", none=None)
    fed = send(event("identify"), told, audience=audience, mappings=mappings)
    _, order, tags = fed.requests
    assert fed.refusals == [] and fed.errors == []
    assert order.json == {
        "name": "Order_Completed",
        "properties": {"total": "19.5", "gift": "true", "note": "x"},
        "occurred_at": "2026-03-04T05:06:07+00:00",
    }
    assert tags.json["tags"] == [
        {"name": "buyer", "status": "active"},
        {"name": "lead", "status": "inactive"},
    ]
    long = event("track", "Video Playback Buffer Completed now")
    assert send(long, mappings=ALL).requests[0].json["name"] == "Video_Playback_Buffer_Complete"


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("email_address", GONE),
        ("email_address", "other@toast.test"),
        ("status_if_new", GONE),
        ("status_if_new", "active"),
        ("merge_fields.BIRTHDAY", "1990-12-31"),
        ("merge_fields.ADDRESS", {"addr1": "1 Main St"}),
        ("merge_fields.favourite", "blue"),
        ("merge_fields.N", True),
        ("tags", ["a"]),
        ("vip", "yes"),
    ],
)
def test_the_fake_refuses(place: str, value: Any) -> None:
    (request,) = send(event("identify", firstName="Ann")).requests
    assert refusal(Audience(), request) == ""
    assert refusal(Audience(), changed(request, place, value))


def test_the_fake_knows_hash_key_and_address() -> None:
    (request,) = send(event("identify")).requests
    upper = request.url.rsplit("/", 1)[0] + "/" + "0" * 32
    assert "hash" in refusal(Audience(), replace(request, url=upper))
    assert refusal(Audience(), replace(request, headers={}))
    assert refusal(Audience(), replace(request, url=request.url.replace("us6", "us7")))
    audience = Audience()
    told = send(event("identify"), event("track", "Paid", total=1), audience=audience, mappings=ALL)
    assert refusal(audience, told.requests[1]) == ""
    assert refusal(audience, changed(told.requests[1], "properties.total", 1))
    assert refusal(audience, changed(told.requests[1], "name", "x"))
    assert refusal(audience, changed(told.requests[1], "occurred_at", "today"))
