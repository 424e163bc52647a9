"""Iterable against its strict fake."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from penstock.destinations.catalog.iterable import DESTINATION
from penstock.destinations.contract import Answer, Call, Request
from penstock.destinations.model import MappingSetup
from penstock.destinations.setup import check_settings
from tests.destinations.fakes.feeding import GONE, Fed, changed, feed, refusal
from tests.destinations.fakes.iterable import KEY, Project
from tests.destinations.fakes.strict import NOW, Driven, Fake, Wrong, drive
from tests.destinations.reference import generation

ANN = "ann@toast.test"
PRODUCT = {"product_id": "p", "name": "Toast", "price": "3.5", "quantity": 2, "category": "Bread"}


def event(name: str = "", user: str = "u", **properties: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "messageId": "m1",
        "timestamp": "2026-03-04T05:06:07.089Z",
        "userId": user,
        "context": {},
    }
    if name:
        return made | {"type": "track", "event": name, "properties": properties}
    return made | {"type": "identify", "traits": properties}


def send(
    *given: dict[str, Any],
    fake: Fake | None = None,
    mappings: list[MappingSetup] | None = None,
    **settings: Any,
) -> Fed:
    return feed(DESTINATION, {"apiKey": KEY, **settings}, given, fake or Project(), mappings)


def batch(slug: str, fake: Fake, *payloads: dict[str, Any], **settings: Any) -> Driven:
    filled = check_settings(DESTINATION, {"apiKey": KEY, **settings})
    call = Call(list(payloads), filled, NOW, lambda: "new", batched=True)
    return drive(DESTINATION, slug, call, fake)


def told(*users: str, **more: Any) -> list[dict[str, Any]]:
    return [
        {"userId": user, "eventName": "Paid", "dataFields": {"at": "2026-03-04T05:06:07Z"}, **more}
        for user in users
    ]


def test_events_of_every_kind_are_taken() -> None:
    fed = send(*generation.events(seed=31, others=60))
    assert fed.refusals == []
    assert len(fed.sent("trackEvent")) > 60 and len(fed.sent("updateUser")) > 5
    assert set(fed.errors) <= {"Iterable needs an email or a userId"}


def test_a_profile_with_its_times_and_telephone_number() -> None:
    traits = {
        "email": ANN,
        "phone": "+47 22",
        "since": "2026-02-03T04:05:06.7+02:00",
        "born": "1990-12-31",
    }
    (request,) = send(event(**traits)).requests
    assert request.url == "https://api.iterable.com/api/users/update"
    assert request.json == {
        "email": ANN,
        "userId": "u",
        "mergeNestedObjects": False,
        "dataFields": traits | {"since": "2026-02-03 02:05:06 +00:00", "phoneNumber": "+47 22"},
    }


def test_a_new_address_is_told_by_a_second_request() -> None:
    moved = [MappingSetup("updateUser", fields={"newEmail": {"@path": "$.traits.next"}})]
    first, second = send(event(email=ANN, next="bob@toast.test"), mappings=moved).requests
    assert "newEmail" not in first.json
    assert second.url.endswith("/users/updateEmail")
    assert second.json == {"currentEmail": ANN, "currentUserId": "u", "newEmail": "bob@toast.test"}
    assert len(send(event(email=ANN), mappings=moved).requests) == 1
    (request,) = batch(
        "updateUser", Project(), {"userId": "u", "newEmail": ANN}, {"userId": "v", "dataFields": {}}
    ).requests
    assert [user["dataFields"] for user in request.json["users"]] == [{"email": ANN}, {}]


def test_the_european_host_is_used_for_everything() -> None:
    there = Project("api.eu.iterable.com")
    given = (
        event(email=ANN),
        event("Paid"),
        event("Cart Updated", products=[PRODUCT]),
        event("Order Completed", products=[PRODUCT], total=7),
    )
    fed = send(*given, fake=there, dataCenterLocation="europe")
    driven = batch("trackEvent", there, *told("u", "v"), dataCenterLocation="europe")
    assert fed.refusals == [] and driven.refusals == [] and len(fed.requests) == 4
    assert DESTINATION.check is not None
    filled = check_settings(DESTINATION, {"apiKey": KEY, "dataCenterLocation": "europe"})
    assert DESTINATION.check(filled).url == "https://api.eu.iterable.com/api/webhooks"
    assert send(event("Paid"), fake=there).refusals, "the American host is another"


def test_a_cart_and_an_order() -> None:
    cart, order = send(
        event("Cart Updated", email=ANN, products=[PRODUCT]),
        event("Order Completed", order_id="o1", total="7.0", tax=1, products=[PRODUCT]),
    ).requests
    item = {
        "id": "p",
        "name": "Toast",
        "price": 3.5,
        "quantity": 2,
        "categories": ["Bread"],
        "dataFields": {},
    }
    assert cart.json["items"] == [item]
    assert cart.json["user"]["email"] == ANN
    assert order.url.endswith("/commerce/trackPurchase")
    assert (order.json["id"], order.json["total"], order.json["items"]) == ("o1", 7, [item])
    assert order.json["dataFields"] == {"order_id": "o1", "total": "7.0", "tax": 1}
    assert order.json["createdAt"] == 1772600767


def test_what_else_a_product_has_stands_in_its_own_fields() -> None:
    items = [{"id": "p", "name": "Toast", "price": 1, "quantity": 1, "on": "2026-03-04T05:06:07Z"}]
    own = [MappingSetup("updateCart", fields={"items": items})]
    fed = send(event("Cart Updated"), mappings=own)
    assert fed.refusals == []
    (item,) = fed.requests[0].json["items"]
    assert "on" not in item and item["dataFields"] == {"on": "2026-03-04 05:06:07 +00:00"}


def test_nobody_is_refused_alone_and_left_out_of_a_batch() -> None:
    assert send(event("Paid", user="")).errors == ["Iterable needs an email or a userId"]
    (one, other), nobody = told("u", "v"), {"eventName": "Paid"}
    driven = batch("trackEvent", Project(), one, nobody, other)
    assert [request.items for request in driven.requests] == [(0, 2)]
    assert {index: each.status for index, each in driven.failures.items()} == {1: 400}
    assert batch("trackEvent", Project(), nobody, nobody).requests == []


def test_of_a_batch_those_fail_that_iterable_names() -> None:
    project = Project(
        **{"Bob@Toast.Test": "invalid", "gone": "forgotten", "odd": "invalidData", "Spam": "name"}
    )
    driven = batch(
        "trackEvent",
        project,
        *told("u", "gone"),
        {"email": "Bob@Toast.Test", "eventName": "Paid"},
        {"userId": "u", "eventName": "Spam"},
        {"userId": "odd", "eventName": "Paid"},
    )
    assert driven.refusals == [] and len(driven.requests) == 1
    assert {index: each.code for index, each in driven.failures.items()} == {
        1: "forgottenUserIds",
        2: "invalidEmails",
        3: "disallowedEventNames",
        4: "invalidDataUserIds",
    }
    assert all(each.status == 400 for each in driven.failures.values())
    users = batch(
        "updateUser", project, {"userId": "gone"}, {"email": "Bob@Toast.Test"}, {"userId": "u"}
    )
    assert set(users.failures) == {0, 1} and "u" in project.users


def test_a_fault_that_spoils_the_batch_is_found_by_halves() -> None:
    class Typed(Project):
        def __call__(self, request: Request) -> Answer:
            if any(each["dataFields"].get("n") == "text" for each in request.json["events"]):
                raise Wrong("the field n is a number")
            return super().__call__(request)

    project = Typed()
    given = told("a", "b", "c", "d", "e")
    given[3]["dataFields"]["n"] = "text"
    driven = batch("trackEvent", project, *given)
    assert set(driven.failures) == {3} and set(project.users) == {"a", "b", "c", "e"}
    taken = [
        item for each in driven.requests for item in each.items or () if len(each.items or ()) < 5
    ]
    assert set(taken) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("status", [401, 429, 503])
def test_other_refusals_concern_the_whole_batch(status: int) -> None:
    driven = batch("trackEvent", lambda request: Answer(status, {}, b"{}"), *told("u", "v"))
    assert driven.error is not None and driven.error.status == status
    assert len(driven.requests) == 1


def test_only_known_users() -> None:
    driven = batch(
        "updateUser", Project(), *({"userId": each, "updateOnly": True} for each in "uv")
    )
    assert driven.refusals == [] and driven.requests[0].json["updateOnly"] is True
    action = DESTINATION.action("updateUser")
    assert action.batch is not None and action.batch.keys == ("updateOnly",)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("email", "ann"),
        ("userId", 5),
        ("dataFields.at", "2026-03-04T05:06:07Z"),
        ("mergeNestedObjects", "no"),
        ("newEmail", ANN),
    ],
)
def test_the_fake_refuses(place: str, value: Any) -> None:
    (request,) = send(event(email=ANN)).requests
    assert refusal(Project(), request) == ""
    assert refusal(Project(), changed(request, place, value))


def test_the_fake_knows_key_place_and_products() -> None:
    (request,) = send(event("Cart Updated", products=[PRODUCT])).requests
    assert refusal(Project(), request) == ""
    assert refusal(Project(), replace(request, headers={}))
    assert refusal(Project("api.eu.iterable.com"), request)
    for place, value in (
        ("price", "3.5"),
        ("quantity", 1.5),
        ("categories", "Bread"),
        ("id", GONE),
        ("brand", "x"),
    ):
        assert refusal(Project(), changed(request, f"items.0.{place}", value)), place
    assert refusal(Project(), changed(request, "user", {}))
