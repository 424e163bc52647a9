"""Facebook Custom Audiences against a strict fake of its users edge."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from penstock.destinations import registry
from penstock.destinations.contract import Answer, Call, InvalidPayload, Payload, Request
from penstock.destinations.fql import compile_trigger
from penstock.destinations.model import DestinationSetup
from penstock.destinations.payloads import compile_payload
from penstock.destinations.route import Route
from penstock.destinations.setup import check_settings
from tests.destinations.fakes.facebook_graph import TOKEN, audience_users
from tests.destinations.fakes.strict import NOW, Driven, Fake, drive
from tests.destinations.reference.generation import event_of

TOOL = registry.definition("facebook-custom-audiences")
SETTINGS = check_settings(TOOL, {"audienceId": "601", "accessToken": TOKEN})
PAYLOAD = compile_payload(TOOL.action("sync"), {})


def _sync(*payloads: Payload, mode: str = "mirror", fake: Fake = audience_users) -> Driven:
    call = Call(payloads, SETTINGS, NOW, lambda: "id", sync_mode=mode)
    return drive(TOOL, "sync", call, fake)


def _event(kind: str, number: int, member: bool) -> dict[str, Any]:
    entered = {"email": "ann@toast.test"} if kind == "Audience Entered" else None
    event = event_of(kind, 9, number, entered) | {"userId": f"u{number}"}
    where = "traits" if kind == "identify" else "properties"
    event[where] = event.get(where, {}) | {"big_spenders": member}
    personas = {"computation_class": "audience", "computation_key": "big_spenders"}
    event["context"] = event["context"] | {"personas": personas}
    return event


@pytest.mark.parametrize("kind", ["identify", "Audience Entered", "Signed Up"])
def test_facebook_takes_the_members_of_generated_events(kind: str) -> None:
    trigger = compile_trigger(TOOL.presets[0].trigger)
    taken = 0
    for number in range(60):
        event = _event(kind, number, member=number % 2 == 0)
        assert trigger(event)
        try:
            payload = PAYLOAD(event)
        except InvalidPayload:
            continue
        driven = _sync(payload)
        assert driven.error is None, (number, driven.refusals)
        assert driven.requests[0].method == ("POST" if number % 2 == 0 else "DELETE")
        taken += 1
    assert taken >= 40


def test_events_of_no_audience_are_not_taken_by_the_preset() -> None:
    assert not compile_trigger(TOOL.presets[0].trigger)(event_of("identify", 9, 0))


def test_a_batch_adds_in_one_request_and_removes_in_another() -> None:
    payloads = [{"externalId": f"u{number}", "member": number < 3} for number in range(5)]
    driven = _sync(*payloads, {"externalId": "u9"}, {"member": True})
    assert [(each.method, each.items) for each in driven.requests] == [
        ("POST", (0, 1, 2)),
        ("DELETE", (3, 4)),
    ]
    assert driven.failures[5].code == "INVALID_AUDIENCE_MEMBERSHIP"
    assert "nothing is known" in driven.failures[6].message


def test_who_is_removed_is_so_even_if_adding_fails() -> None:
    def fake(request: Request) -> Answer:
        if request.method == "POST":
            return Answer(503, {}, b"")
        return audience_users(request)

    driven = _sync(
        {"externalId": "a", "member": True}, {"externalId": "b", "member": False}, fake=fake
    )
    assert {index: each.status for index, each in driven.failures.items()} == {0: 503}
    assert _sync({"externalId": "a", "member": True}, fake=fake).error is not None


@pytest.mark.parametrize(
    ("mode", "change", "method"),
    [
        ("mirror", "new", "POST"),
        ("mirror", "updated", "POST"),
        ("mirror", "deleted", "DELETE"),
        ("upsert", "", "POST"),
        ("delete", "", "DELETE"),
    ],
)
def test_the_mode_decides_where_the_event_says_nothing(mode: str, change: str, method: str) -> None:
    driven = _sync({"externalId": "a", "change": change}, mode=mode)
    assert driven.requests[0].method == method


def test_a_row_is_normalised_and_hashed() -> None:
    payload = {
        "externalId": "u1",
        "email": " Ann@Toast.test",
        "phone": "0047 22 33 44 55",
        "birth": {"year": "1990", "month": "march", "day": "7"},
        "name": {"first": "Anne-Marie", "last": "O'Neil", "firstInitial": "A"},
        "gender": "Female",
        "city": "New York",
        "state": "New York",
        "zip": "10001-1234",
        "country": "US",
        "mobileAdId": "7A3CBBA0-BDF5",
        "member": True,
    }
    row = _sync(payload).requests[0].json["payload"]["data"][0]
    plain = (
        "ann@toast.test",
        "4722334455",
        "1990",
        "03",
        "07",
        "oneil",
        "annemarie",
        "a",
        "f",
        "newyork",
        "ny",
        "10001",
        "us",
    )
    assert row == [
        "u1",
        *(hashlib.sha256(each.encode()).hexdigest() for each in plain),
        "7a3cbba0-bdf5",
    ]


def test_a_row_that_facebook_could_not_read_has_failed() -> None:
    driven = _sync(
        {"externalId": "a", "member": True},
        fake=lambda request: Answer(200, {}, b'{"num_received": 1, "num_invalid_entries": 1}'),
    )
    assert driven.failures[0].code == "INVALID_ENTRY"


def test_the_fake_refuses_what_facebook_refuses() -> None:
    told = _sync({"externalId": "a", "email": "a@b.test", "member": True}).requests[0]
    body = told.json["payload"]
    for change, reason in (
        ({"schema": [*body["schema"][:-1], "NAME"]}, "is none of"),
        ({"data": [["a", "a@b.test", *body["data"][0][2:]]]}, "no SHA-256"),
        ({"data": [body["data"][0][:-1]]}, "columns"),
        ({"is_raw": True}, "unknown"),
        ({"data": body["data"] * 10_001}, "more than 10000"),
    ):
        request = replace(told, json={"payload": body | change})
        with pytest.raises(Exception, match=reason):
            audience_users(request)
    with pytest.raises(Exception, match="token"):
        audience_users(replace(told, headers={}))


def test_without_an_audience_nothing_is_sent() -> None:
    settings = check_settings(TOOL, {"accessToken": TOKEN})
    call = Call([{"externalId": "a", "member": True}], settings, NOW, lambda: "id")
    assert "no audience" in str(drive(TOOL, "sync", call, audience_users).error)


@pytest.mark.parametrize(("entered", "method"), [(True, "POST"), (False, "DELETE")])
@pytest.mark.parametrize("mode", ["identify", "track"])
def test_a_notice_of_an_audience_adds_and_removes(mode: str, entered: bool, method: str) -> None:
    personas = {"computation_class": "audience", "computation_key": "big_spenders"}
    event: dict[str, Any] = {"type": mode, "userId": "u1", "context": {"personas": personas}}
    if mode == "identify":
        event["traits"] = {"email": "Ann@toast.test", "big_spenders": entered}
    else:
        event["event"] = "Audience Entered" if entered else "Audience Exited"
        event["properties"] = {"audience_key": "big_spenders", "big_spenders": entered}
        event["context"]["traits"] = {"email": "Ann@toast.test"}
    (planned,) = Route(TOOL, DestinationSetup("ads", TOOL.slug))(event, "penstock").planned
    (request,) = _sync(planned.payload).requests
    assert request.method == method
    hashed = hashlib.sha256(b"ann@toast.test").hexdigest()
    assert request.json["payload"]["data"][0][:2] == ["u1", hashed]
