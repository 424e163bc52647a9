"""Google Ads against its strict fake."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from penstock.destinations.catalog.google_ads import DESTINATION
from penstock.destinations.contract import Answer, Call, Request
from penstock.destinations.model import MappingSetup
from penstock.destinations.payloads import compile_payload
from penstock.destinations.setup import check_settings
from tests.destinations.fakes.feeding import GONE, Fed, changed, feed, refusal
from tests.destinations.fakes.google_ads import TOKEN, uploads
from tests.destinations.fakes.strict import NOW, Driven, Fake, drive
from tests.destinations.reference import generation

CLICK, CALL, ADJUST = "uploadClickConversion", "uploadCallConversion", "uploadConversionAdjustment"
SETTINGS = {
    "customerId": "123-456-7890",
    "developer_token": "dev",
    "client_id": "id",
    "client_secret": "secret",
    "refresh_token": "refresh",
}
ORDER = {
    "type": "track",
    "event": "Order Completed",
    "messageId": "m1",
    "timestamp": "2026-03-04T05:06:07.089Z",
    "context": {"ip": "203.0.113.7", "userAgent": "curl/8"},
    "properties": {
        "order_id": "o1",
        "gclid": "G1",
        "email": " Ann.M.Baker@Gmail.com",
        "phone": "+47 22 33 44 55",
        "firstName": "Ann ",
        "total": 12.5,
        "currency": "NOK",
        "products": [{"product_id": "p1", "price": 6.25, "quantity": 2}],
    },
}
GCLID = {"@path": "$.properties.gclid"}


def send(action: str, *events: dict[str, Any], settings: Any = (), **fields: Any) -> Fed:
    mapping = MappingSetup(
        action, trigger='type = "track"', fields={"conversion_action": 7, **fields}
    )
    return feed(DESTINATION, {**SETTINGS, **dict(settings)}, events, uploads, [mapping], TOKEN)


def refused(fed: Fed) -> list[str]:
    """What Google found wrong with conversions."""
    return [each.message for _, driven in fed.driven for each in driven.failures.values()]


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def test_events_of_every_kind_are_taken() -> None:
    given = list(generation.events(seed=43))
    worth = {"currency": "EUR"}
    clicks = send(CLICK, *given, gclid="G1", **worth)
    calls = send(CALL, *given, caller_id="+4722334455", call_timestamp=ORDER["timestamp"], **worth)
    changes = send(ADJUST, *given, adjustment_type="ENHANCEMENT", order_id="o1")
    for fed in (clicks, calls, changes):
        assert fed.refusals == [] and refused(fed) == [] and len(fed.requests) > 100
        assert all("e-mail address" in error for error in fed.errors)


def test_nothing_is_sent_before_a_conversion_action_is_named() -> None:
    assert feed(DESTINATION, SETTINGS, [ORDER], uploads, None, TOKEN).driven == []


def test_a_click() -> None:
    (request,) = send(CLICK, ORDER, gclid=GCLID).requests
    assert request.url == (
        "https://googleads.googleapis.com/v26/customers/1234567890:uploadClickConversions"
    )
    assert request.json["partialFailure"] is True and "validateOnly" not in request.json
    (made,) = request.json["conversions"]
    assert made["conversionAction"] == "customers/1234567890/conversionActions/7"
    assert made["conversionDateTime"] == "2026-03-04 05:06:07+00:00"
    assert (made["gclid"], made["orderId"], made["conversionValue"]) == ("G1", "o1", 12.5)
    assert made["userIdentifiers"] == [
        {"hashedEmail": _hash("annmbaker@gmail.com")},
        {"hashedPhoneNumber": _hash("+4722334455")},
    ]
    assert made["cartData"]["items"] == [{"productId": "p1", "quantity": 2, "unitPrice": 6.25}]


@pytest.mark.parametrize(
    ("phone", "country", "written"),
    [
        ("+47 22 33 44 55", None, "+4722334455"),
        ("(415) 555-0123", None, "+14155550123"),
        ("22 33 44 55", "+47", "+4722334455"),
        ("47 22 33 44 55", "47", "+4722334455"),
    ],
)
def test_phones_are_written_with_their_country(
    phone: str, country: str | None, written: str
) -> None:
    fed = send(CLICK, ORDER, email_address=None, phone_number=phone, phone_country_code=country)
    (request,) = fed.requests
    told = request.json["conversions"][0]["userIdentifiers"]
    assert told == [{"hashedPhoneNumber": _hash(written)}]


def test_times_keep_their_zone_and_need_one() -> None:
    (request,) = send(CLICK, ORDER, conversion_timestamp="2026-03-04T05:06:07.5+02:00").requests
    assert request.json["conversions"][0]["conversionDateTime"] == "2026-03-04 05:06:07+02:00"
    fed = send(CLICK, ORDER, conversion_timestamp="2026-03-04 05:06:07")
    assert fed.requests == [] and "zone" in fed.errors[0]


def test_adjustments() -> None:
    (request,) = send(ADJUST, ORDER, adjustment_type="ENHANCEMENT", city="Oslo").requests
    (made,) = request.json["conversionAdjustments"]
    assert made["orderId"] == "o1" and made["userAgent"] == "curl/8"
    assert made["userIdentifiers"][2] == {
        "addressInfo": {"hashedFirstName": _hash("ann"), "city": "Oslo"}
    }
    fed = send(
        ADJUST,
        ORDER,
        adjustment_type="RETRACTION",
        order_id=None,
        gclid=GCLID,
        conversion_timestamp="2026-03-01T00:00:00Z",
        adjustment_timestamp=None,
    )
    (made,) = fed.requests[0].json["conversionAdjustments"]
    assert "restatementValue" not in made and refused(fed) == []
    assert made["adjustmentDateTime"] == "2026-03-04 05:06:07+00:00"


def test_custom_variables_go_by_the_names_google_tells() -> None:
    fed = send(CLICK, ORDER, gclid=GCLID, custom_variables={"size": "XL", "unknown": "x"})
    asked, sent = fed.requests
    assert asked.url.endswith("/customers/1234567890/googleAds:searchStream")
    assert sent.json["conversions"][0]["customVariables"] == [
        {"conversionCustomVariable": "customers/1/conversionCustomVariables/2", "value": "XL"}
    ]


def test_only_validating_through_a_manager() -> None:
    settings = {"validateOnly": True, "loginCustomerId": "987-654-3210"}
    (request,) = send(CLICK, ORDER, gclid=GCLID, settings=settings).requests
    assert request.json["validateOnly"] is True
    assert request.headers["login-customer-id"] == "9876543210"


def _batch(*fields: dict[str, Any], fake: Fake = uploads) -> Driven:
    action = DESTINATION.action(CLICK)
    made = [compile_payload(action, {"conversion_action": 7, **each})(ORDER) for each in fields]
    settings = check_settings(DESTINATION, SETTINGS)
    return drive(
        DESTINATION, CLICK, Call(made, settings, NOW, lambda: "id", batched=True), fake, TOKEN
    )


def test_of_a_batch_each_stands_alone() -> None:
    driven = _batch(
        {"currency": "kroner"},
        {"gclid": "G1"},
        {"email_address": "nobody"},
        {"gclid": "G3"},
        {"currency": "x"},
    )
    (request,) = driven.requests
    assert request.items == (0, 1, 3, 4)
    assert {index: failure.status for index, failure in driven.failures.items()} == {
        0: 400,
        2: 400,
        4: 400,
    }
    assert driven.failures[4].code == "INVALID"


def test_an_error_that_passes_is_tried_again() -> None:
    error = {
        "errorCode": {"databaseError": "CONCURRENT_MODIFICATION"},
        "message": "again",
        "location": {"fieldPathElements": [{"fieldName": "conversions", "index": 1}]},
    }
    body = {
        "partialFailureError": {"code": 10, "message": "again", "details": [{"errors": [error]}]}
    }
    driven = _batch(
        {"gclid": "G0"},
        {"gclid": "G1"},
        fake=lambda request: Answer(200, {}, json.dumps(body).encode()),
    )
    assert {index: failure.status for index, failure in driven.failures.items()} == {1: 503}


def test_the_check_asks_for_the_accounts() -> None:
    assert DESTINATION.check is not None
    asked = DESTINATION.check(check_settings(DESTINATION, SETTINGS))
    assert asked.url == "https://googleads.googleapis.com/v26/customers:listAccessibleCustomers"


def _taken(request: Request) -> bool:
    if refusal(uploads, request):
        return False
    return "partialFailureError" not in json.loads(uploads(request).body)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("partialFailure", False),
        ("partialFailure", GONE),
        ("conversions", []),
        ("conversions.0.conversionAction", "7"),
        ("conversions.0.conversionDateTime", "2026-03-04T05:06:07Z"),
        ("conversions.0.conversionValue", "12.5"),
        ("conversions.0.userIdentifiers.0.hashedEmail", "ann@gmail.com"),
        ("conversions.0.userIdentifiers.0.hashedPhoneNumber", "0" * 64),
        ("conversions.0.userIdentifiers.0", {"addressInfo": {"city": "Oslo"}}),
        ("conversions.0.cartData.currency", "NOK"),
        ("conversions.0.consent", {"adUserData": "YES"}),
        ("conversions.0.email", "ann@gmail.com"),
        ("debugEnabled", True),
    ],
)
def test_the_fake_refuses(place: str, value: Any) -> None:
    (request,) = send(CLICK, ORDER, gclid=GCLID).requests
    assert _taken(request)
    assert not _taken(changed(request, place, value))


def test_the_fake_refuses_adjustments_of_nothing() -> None:
    (request,) = send(ADJUST, ORDER, adjustment_type="RETRACTION").requests
    assert _taken(request)
    assert not _taken(changed(request, "conversionAdjustments.0.orderId", GONE))
    assert not _taken(changed(request, "conversionAdjustments.0.restatementValue", {}))


@pytest.mark.parametrize("name", ["Authorization", "developer-token"])
def test_the_fake_wants_to_know_who_sends(name: str) -> None:
    (request,) = send(CLICK, ORDER, gclid=GCLID).requests
    headers = {key: value for key, value in request.headers.items() if key != name}
    assert not _taken(replace(request, headers=headers))
