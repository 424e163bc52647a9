"""Intercom: regions, the check, and a contact that is known by Intercom's id."""

from __future__ import annotations

import json

import pytest

from penstock.destinations import registry
from penstock.destinations.contract import Answer, Call, Json, Payload, Request
from penstock.destinations.setup import check_settings
from tests.destinations.fakes.strict import NOW, Driven, drive

INTERCOM = registry.definition("intercom")
HOSTS = {
    "US": "https://api.intercom.io",
    "EU": "https://api.eu.intercom.io",
    "AU": "https://api.au.intercom.io",
}


def _do(slug: str, payload: Payload, *bodies: Json, region: str = "US") -> Driven:
    left = [json.dumps(body).encode() for body in bodies]

    def answer(request: Request) -> Answer:
        return Answer(200, {}, left.pop(0) if left else b"{}")

    settings = check_settings(INTERCOM, {"accessToken": "secret", "region": region})
    return drive(INTERCOM, slug, Call([payload], settings, NOW, lambda: "id"), answer)


@pytest.mark.parametrize("region", HOSTS)
def test_each_step_goes_to_the_region(region: str) -> None:
    found = {"total_count": 1, "data": [{"id": "c1"}]}
    company = {"company_id": "g1", "external_id": "u1", "name": "Toast"}
    driven = _do("groupIdentifyContact", company, found, {"id": "i1"}, region=region)
    assert [(request.method, request.url) for request in driven.requests] == [
        ("POST", f"{HOSTS[region]}/contacts/search"),
        ("POST", f"{HOSTS[region]}/companies"),
        ("POST", f"{HOSTS[region]}/contacts/c1/companies"),
    ]
    assert driven.requests[1].json == {"company_id": "g1", "name": "Toast"}
    assert driven.requests[2].json == {"id": "i1"}
    assert {request.headers["Authorization"] for request in driven.requests} == {"Bearer secret"}


def test_a_contact_known_by_its_id_is_not_searched() -> None:
    driven = _do("groupIdentifyContact", {"company_id": "g1", "contact_id": "c9"}, {"id": "i1"})
    assert [request.url.partition(".io")[2] for request in driven.requests] == [
        "/companies",
        "/contacts/c9/companies",
    ]
    assert driven.requests[0].json == {"company_id": "g1"}


def test_an_event_of_nobody_known_is_not_tried_again() -> None:
    event = {"event_name": "Bought", "created_at": "2026-03-04T05:06:07Z", "email": "a@b.test"}
    driven = _do("trackEvent", event, {"total_count": 0, "data": []})
    assert driven.error is not None
    assert driven.error.status == 404
    assert len(driven.requests) == 1


def test_an_answer_that_is_no_json_counts_as_nobody_found() -> None:
    driven = _do("identifyContact", {"role": "user", "external_id": "u1"}, "no object")
    assert [request.method for request in driven.requests] == ["POST", "POST"]


def test_the_amount_is_told_in_hundredths_beside_the_other_properties() -> None:
    event = {
        "event_name": "Bought",
        "created_at": "2026-03-04T05:06:07Z",
        "user_id": "u1",
        "revenue": 12,
        "metadata": {"revenue": 12, "currency": "EUR", "email": "a@b.test", "sku": "s"},
    }
    told = _do("trackEvent", event).requests[0].json
    assert told["metadata"] == {"sku": "s", "price": {"amount": 1200, "currency": "USD"}}
    assert told["created_at"] == 1772600767


def test_the_check_changes_nothing() -> None:
    assert INTERCOM.check is not None
    asked = INTERCOM.check({"accessToken": "secret", "region": "EU"})
    assert (asked.method, asked.url) == ("GET", "https://api.eu.intercom.io/me")
