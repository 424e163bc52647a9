"""LinkedIn Conversions against its strict fake."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from penstock.destinations.catalog.linkedin_conversions import DESTINATION
from penstock.destinations.contract import Call, Payload
from penstock.destinations.model import MappingSetup
from penstock.destinations.payloads import compile_payload
from penstock.destinations.setup import check_settings
from tests.destinations.fakes.feeding import GONE, Fed, changed, feed, refusal
from tests.destinations.fakes.linkedin import TOKEN, conversion_events
from tests.destinations.fakes.strict import NOW, Driven, drive
from tests.destinations.reference import generation

SETTINGS = {"client_id": "id", "client_secret": "secret", "refresh_token": "refresh"}
FIELDS = {
    "conversion_rule_id": "104012",
    "email": {"@path": "$.properties.email"},
    "linkedInUUID": {"@path": "$.properties.uuid"},
}
LEAD = {
    "type": "track",
    "event": "Lead",
    "messageId": "m1",
    "timestamp": "2026-03-04T05:06:07.089Z",
    "properties": {
        "email": "Ann@Toast.Test",
        "uuid": "df5gf5-gh6t7",
        "revenue": 99.5,
        "currency": "EUR",
    },
}


def send(*events: dict[str, Any], **fields: Any) -> Fed:
    mapping = MappingSetup("streamConversion", fields=FIELDS | fields)
    return feed(DESTINATION, SETTINGS, events, conversion_events, [mapping], TOKEN)


def lead(number: int, **properties: Any) -> dict[str, Any]:
    return {
        **LEAD,
        "messageId": f"m{number}",
        "properties": {**LEAD["properties"], **properties},  # type: ignore[dict-item]
    }


def test_events_of_every_kind_are_taken() -> None:
    given = list(generation.events(seed=41))
    fed = send(*given, conversionValue=None, conversionHappenedAt=LEAD["timestamp"])
    assert fed.refusals == [] and len(fed.sent("streamConversion")) > 20
    assert all("needs to know who" in error for error in fed.errors)


def test_nothing_is_sent_before_a_rule_is_named() -> None:
    assert feed(DESTINATION, SETTINGS, [LEAD], conversion_events, None, TOKEN).driven == []


def test_a_lead() -> None:
    fed = send(LEAD, userInfo={"firstName": "Ann", "lastName": "Baker"}, externalIds=["x1", "x2"])
    (request,) = fed.requests
    assert fed.refusals == []
    assert request.json == {
        "conversion": "urn:lla:llaPartnerConversion:104012",
        "conversionHappenedAt": 1772600767089,
        "conversionValue": {"currencyCode": "EUR", "amount": "99.5"},
        "eventId": "m1",
        "user": {
            "userIds": [
                {"idType": "SHA256_EMAIL", "idValue": sha256(b"ann@toast.test").hexdigest()},
                {"idType": "LINKEDIN_FIRST_PARTY_ADS_TRACKING_UUID", "idValue": "df5gf5-gh6t7"},
            ],
            "userInfo": {"firstName": "Ann", "lastName": "Baker"},
            "externalIds": ["x1"],
        },
    }


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"conversionHappenedAt": "2025-11-01T00:00:00Z"}, "90 days"),
        ({"conversionHappenedAt": "soon"}, "neither a time"),
        ({"email": None, "linkedInUUID": None}, "who it was"),
    ],
)
def test_what_linkedin_would_refuse_is_not_sent(fields: dict[str, Any], said: str) -> None:
    fed = send(LEAD, **fields)
    assert fed.requests == [] and said in fed.errors[0]


def _batch(payloads: list[Payload]) -> Driven:
    call = Call(payloads, check_settings(DESTINATION, SETTINGS), NOW, lambda: "id", batched=True)
    return drive(DESTINATION, "streamConversion", call, conversion_events, TOKEN)


def test_of_a_batch_each_stands_alone() -> None:
    payload = compile_payload(DESTINATION.action("streamConversion"), FIELDS)
    made = [payload(lead(number)) for number in range(5)]
    made[1]["conversionHappenedAt"] = "2025-11-01T00:00:00Z"
    made[3]["conversionValue"] = {"currencyCode": "EUR", "amount": "1,50"}
    driven = _batch(made)
    (request,) = driven.requests
    assert request.headers["X-RestLi-Method"] == "BATCH_CREATE"
    assert request.items == (0, 2, 3, 4) and len(request.json["elements"]) == 4
    assert {index: failure.status for index, failure in driven.failures.items()} == {1: 400, 3: 422}
    (request,) = _batch([payload(LEAD)]).requests
    assert len(request.json["elements"]) == 1


def test_the_check_asks_for_the_ad_accounts() -> None:
    assert DESTINATION.check is not None and DESTINATION.authorize is not None
    asked = DESTINATION.authorize(DESTINATION.check(SETTINGS), {"apiVersion": "202603"}, TOKEN)
    assert (asked.method, asked.url) == ("GET", "https://api.linkedin.com/rest/adAccounts")
    assert asked.headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("conversion", "104012"),
        ("conversionHappenedAt", 1772600767),
        ("conversionHappenedAt", "2026-03-04T05:06:07Z"),
        ("conversionValue.amount", 99.5),
        ("conversionValue.currencyCode", GONE),
        ("user.userIds", []),
        ("user.userIds.0.idType", "EMAIL"),
        ("user.userIds.0.idValue", "ann@toast.test"),
        ("user.userInfo", {"firstName": "Ann"}),
        ("user.externalIds", ["x1", "x2"]),
        ("user.email", "ann@toast.test"),
        ("messageId", "m1"),
    ],
)
def test_the_fake_refuses(place: str, value: Any) -> None:
    (request,) = send(LEAD).requests
    assert refusal(conversion_events, request) == ""
    assert refusal(conversion_events, changed(request, place, value))


@pytest.mark.parametrize("name", ["Authorization", "LinkedIn-Version", "X-Restli-Protocol-Version"])
def test_the_fake_wants_its_headers(name: str) -> None:
    (request,) = send(LEAD).requests
    headers = {key: value for key, value in request.headers.items() if key != name}
    assert refusal(conversion_events, replace(request, headers=headers))
