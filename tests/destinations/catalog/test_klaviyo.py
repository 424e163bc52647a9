"""Klaviyo against its strict fake: profiles, lists, consent, events and batches."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from penstock.destinations.catalog.klaviyo import DESTINATION
from penstock.destinations.contract import Answer, Call, Request
from penstock.destinations.model import MappingSetup
from penstock.destinations.setup import check_settings
from penstock.errors import ConfigurationError
from tests.destinations.fakes.feeding import GONE, Fed, changed, feed, refusal
from tests.destinations.fakes.klaviyo import KEY, Account
from tests.destinations.fakes.strict import NOW, Driven, Fake, drive
from tests.destinations.reference import generation

ANN = "ann@toast.test"
PAID: dict[str, Any] = {
    "profile": {"email": ANN},
    "metric_name": "Paid",
    "properties": {"total": 7},
    "time": "2026-03-04T05:06:07+02:00",
    "unique_id": "m1",
}


def event(kind: str, name: str = "", **properties: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "type": kind,
        "messageId": "m1",
        "timestamp": "2026-03-04T05:06:07.089Z",
        "userId": "u",
        "context": {"traits": {"email": ANN}},
    }
    if kind == "track":
        return made | {"event": name, "properties": properties}
    return made | {"traits": {"email": ANN} | properties}


def send(*given: dict[str, Any], fake: Fake, mappings: Sequence[MappingSetup] | None = None) -> Fed:
    return feed(DESTINATION, {"api_key": KEY}, given, fake, mappings)


def do(slug: str, *payloads: dict[str, Any], fake: Fake, batched: bool = False) -> Driven:
    filled = check_settings(DESTINATION, {"api_key": KEY})
    given = [dict(each) for each in payloads]
    call = Call(given, filled, NOW, lambda: "new", batched=batched)
    return drive(DESTINATION, slug, call, fake)


def many(slug: str, *payloads: dict[str, Any], fake: Fake) -> Driven:
    return do(slug, *payloads, fake=fake, batched=True)


def statuses(driven: Driven) -> dict[int, int]:
    return {index: each.status for index, each in driven.failures.items()}


def test_events_of_every_kind_are_taken() -> None:
    account = Account()
    fed = send(*generation.events(seed=41, others=80), fake=account)
    assert fed.refusals == []
    assert len(fed.sent("trackEvent")) > 50 and len(account.profiles) >= 5
    assert all(
        each.startswith(("phone_number:", "a profile needs one of", "time:")) for each in fed.errors
    ), set(fed.errors)


def test_a_profile_is_made_once_and_then_changed() -> None:
    account = Account()
    address = {"street": "1 Main St", "city": "Oslo", "postal_code": "0150", "state": None}
    first = event("identify", firstName="Ann", address=address)
    fed = send(first, event("identify", firstName="Anna"), fake=account)
    (profile,) = account.profiles.values()
    assert fed.refusals == [] and fed.errors == []
    assert [each.method for each in fed.requests] == ["POST", "POST", "PATCH"]
    assert profile["first_name"] == "Anna"
    assert profile["location"]["city"] == "Oslo" and profile["location"]["address1"] == "1 Main St"


def test_a_list_is_joined_and_left() -> None:
    account = Account()
    joined = {"email": ANN, "list_id": "L"}
    for _ in "ab":
        assert do("upsertProfile", joined, fake=account).refusals == []
    override = {**joined, "external_id": "u", "override_list_id": "M"}
    assert do("upsertProfile", override, fake=account).refusals == []
    assert account.lists == {"L": {"01P0"}, "M": {"01P0"}}
    bob = {"email": "bob@toast.test", "list_id": "L"}
    assert do("addProfileToList", bob, fake=account).refusals == []
    assert account.lists["L"] == {"01P0", "01P1"}
    assert do("removeProfileFromList", joined, fake=account).refusals == []
    assert account.lists["L"] == {"01P1"}
    nobody = {"email": "no@toast.test", "list_id": "L"}
    assert "knows no profile" in str(do("removeProfile", nobody, fake=account).error)


def test_telephone_numbers() -> None:
    account = Account()
    home = {"phone_number": "(415) 555-0123", "country_code": "US"}
    assert do("upsertProfile", home, fake=account).refusals == []
    assert account.find(phone_number="+14155550123")
    abroad = do("upsertProfile", {"phone_number": "415 555"}, fake=account)
    assert str(abroad.error).startswith("phone_number: '415 555' is no E.164 number")
    long = do("upsertProfile", {"external_id": "x" * 256}, fake=account)
    assert "longer than 255" in str(long.error)


def test_an_event_with_its_time_and_its_amount() -> None:
    account = Account()
    priced = [MappingSetup("trackEvent", fields={"value": {"@path": "$.properties.total"}})]
    fed = send(event("track", "Paid", total="7.5"), fake=account, mappings=priced)
    assert fed.refusals == []
    (told,) = account.events
    assert told == {
        "properties": {"total": "7.5"},
        "metric": {"data": {"type": "metric", "attributes": {"name": "Paid"}}},
        "value": 7.5,
        "unique_id": "m1",
        "time": "2026-03-04T05:06:07.089Z",
        "profile": {
            "data": {"type": "profile", "attributes": {"email": ANN, "external_id": "u"}},
        },
    }
    do("trackEvent", PAID, fake=account)
    assert account.events[1]["time"] == "2026-03-04T03:06:07.000Z"


def test_an_order_and_each_of_its_products() -> None:
    account = Account()
    products = [{"sku": "a", "price": 1}, {"sku": "b", "price": 2}]
    order = event("track", "Order Completed", order_id="o1", total=3, products=products)
    assert send(order, fake=account).refusals == []
    whole, *parts = account.events
    assert whole["unique_id"] == "m1" and whole["properties"]["products"] == products
    assert [each["properties"] for each in parts] == [
        {"order_id": "o1", "total": 3} | product for product in products
    ]
    names = [each["metric"]["data"]["attributes"]["name"] for each in account.events]
    assert names == ["Order Completed", "Ordered Product", "Ordered Product"]
    assert all(each["time"] == whole["time"] for each in parts)


def test_products_are_not_told_of_an_order_that_was_refused() -> None:
    driven = do(
        "orderCompleted",
        {**PAID, "products": [{"sku": "a"}]},
        fake=lambda request: Answer(400, {}, b'{"errors":[{"detail":"no"}]}'),
    )
    assert driven.error is not None and len(driven.requests) == 1


def test_consent_is_given_and_taken_back() -> None:
    account = Account()
    both = {"email": ANN, "phone_number": "+14155550123", "list_id": "L", "custom_source": "shop"}
    assert do("subscribeProfile", both, fake=account).refusals == []
    old = {"email": ANN, "historical_import": True, "consented_at": "2025-01-02T03:04:05Z"}
    assert do("subscribeProfile", old, fake=account).refusals == []
    assert do("unsubscribeProfile", both, fake=account).refusals == []
    first, second, third = account.jobs
    assert first["relationships"] == {"list": {"data": {"type": "list", "id": "L"}}}
    assert first["attributes"]["custom_source"] == "shop"
    (profile,) = first["attributes"]["profiles"]["data"]
    given = {"marketing": {"consent": "SUBSCRIBED"}}
    assert profile["attributes"]["subscriptions"] == {"email": given, "sms": given}
    (profile,) = second["attributes"]["profiles"]["data"]
    assert profile["attributes"]["subscriptions"] == {
        "email": {"marketing": {"consent": "SUBSCRIBED", "consented_at": "2025-01-02T03:04:05Z"}}
    }
    (profile,) = third["attributes"]["profiles"]["data"]
    gone = {"consent": "UNSUBSCRIBED"}
    assert profile["attributes"]["subscriptions"]["sms"] == {
        "marketing": gone,
        "transactional": gone,
    }


def test_a_batch_of_profiles_is_one_job() -> None:
    account = Account()
    given = [
        {"email": ANN, "list_id": "L"},
        {"first_name": "Nobody", "list_id": "L"},
        {"phone_number": "12", "list_id": "L"},
        {"external_id": "u", "list_id": "L"},
    ]
    driven = many("upsertProfile", *given, fake=account)
    assert driven.refusals == [] and statuses(driven) == {1: 400, 2: 400}
    assert [each.items for each in driven.requests] == [(0, 3)]
    (job,) = account.jobs
    assert job["relationships"]["lists"]["data"] == [{"type": "list", "id": "L"}]
    people = [each["attributes"] for each in job["attributes"]["profiles"]["data"]]
    assert people == [{"email": ANN}, {"external_id": "u"}]
    assert many("addProfileToList", *given[1:3], fake=account).requests == []


def test_a_batch_leaves_a_list_page_by_page() -> None:
    account = Account()
    addresses = [f'{name}"x@toast.test' for name in "abcde"]
    for each in addresses:
        do("upsertProfile", {"email": each, "list_id": "L"}, fake=account)
    given = [{"email": each, "list_id": "L"} for each in addresses[:4]]
    driven = many("removeProfileFromList", *given, {"list_id": "L"}, fake=account)
    assert driven.refusals == [] and statuses(driven) == {4: 400}
    assert [each.method for each in driven.requests] == ["GET", "GET", "DELETE"]
    assert account.lists["L"] == {"01P4"}
    down = many("removeProfileFromList", *given, {}, fake=lambda request: Answer(503, {}, b"{}"))
    assert statuses(down) == {0: 503, 1: 503, 2: 503, 3: 503, 4: 400}


def test_a_batch_of_events_is_one_job() -> None:
    account = Account()
    nobody = {**PAID, "profile": {}}
    driven = many("trackEvent", PAID, nobody, {**PAID, "time": "soon"}, PAID, fake=account)
    assert driven.refusals == [] and statuses(driven) == {1: 400, 2: 400}
    (job,) = account.jobs
    told = job["attributes"]["events-bulk-create"]["data"]
    assert [len(each["attributes"]["events"]["data"]) for each in told] == [1, 1]
    assert driven.requests[0].items == (0, 3)


def test_the_event_that_spoils_a_batch_fails_and_the_others_are_tried_again() -> None:
    def fake(request: Request) -> Answer:
        pointer = "/data/attributes/events-bulk-create/data/1/attributes/profile"
        error = {"code": "invalid", "detail": "no", "status": 400, "source": {"pointer": pointer}}
        return Answer(400, {}, json.dumps({"errors": [error]}).encode())

    driven = many("trackEvent", PAID, {**PAID, "profile": {}}, PAID, PAID, fake=fake)
    assert statuses(driven) == {0: 429, 1: 400, 2: 400, 3: 429}
    assert driven.failures[2].message == "no"


@pytest.mark.parametrize("status", [401, 429, 500])
def test_other_refusals_concern_the_whole_batch(status: int) -> None:
    for slug, payload in (("trackEvent", PAID), ("upsertProfile", {"email": ANN})):
        driven = many(slug, payload, payload, fake=lambda request: Answer(status, {}, b"{}"))
        assert driven.error is not None and driven.error.status == status


def test_batches_hold_what_may_go_together() -> None:
    keys = {
        action.slug: action.batch.keys for action in DESTINATION.actions if action.batch is not None
    }
    assert keys["upsertProfile"] == ("list_id", "override_list_id")
    assert keys["subscribeProfile"] == ("list_id", "custom_source", "historical_import")
    assert keys["removeProfile"] == keys["unsubscribeProfile"] == ("list_id",)
    assert "orderCompleted" not in keys


def test_settings() -> None:
    with pytest.raises(ConfigurationError):
        check_settings(DESTINATION, {})
    assert [each.key for each in DESTINATION.settings if each.secret] == ["api_key"]
    assert DESTINATION.check is not None
    checked = DESTINATION.check(check_settings(DESTINATION, {"api_key": KEY}))
    assert (checked.method, checked.url) == ("GET", "https://a.klaviyo.com/api/accounts/")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("data.type", "events"),
        ("data.attributes.metric", GONE),
        ("data.attributes.metric.data.attributes.name", "x" * 129),
        ("data.attributes.time", "2026-03-04"),
        ("data.attributes.value", "7"),
        ("data.attributes.currency", "EUR"),
        ("data.attributes.profile.data.attributes", {}),
        ("data.attributes.profile.data.attributes.phone_number", "415"),
    ],
)
def test_the_fake_refuses(place: str, value: Any) -> None:
    (request,) = do("trackEvent", PAID, fake=Account()).requests
    assert refusal(Account(), request) == ""
    assert refusal(Account(), changed(request, place, value))


def test_the_fake_knows_key_revision_and_consent() -> None:
    old = {"email": ANN, "historical_import": True, "consented_at": "2025-01-02T03:04:05Z"}
    (request,) = do("subscribeProfile", old, fake=Account()).requests
    assert refusal(Account(), request) == ""
    for name in ("Authorization", "revision"):
        bare = {key: value for key, value in request.headers.items() if key != name}
        assert refusal(Account(), replace(request, headers=bare)), name
    given = "data.attributes.profiles.data.0.attributes.subscriptions.email.marketing"
    assert refusal(Account(), changed(request, f"{given}.consent", "YES"))
    assert refusal(Account(), changed(request, f"{given}.consented_at", GONE))
