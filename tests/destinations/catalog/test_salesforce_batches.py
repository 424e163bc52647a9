"""Salesforce: many records in one request, each answered for itself."""

from __future__ import annotations

import json

import pytest

from penstock.destinations.contract import Answer
from tests.destinations.catalog.salesforce_calls import ANN, LEAD, do, many, user, ways
from tests.destinations.fakes.salesforce import Organisation


def test_a_batch_of_new_records_is_one_request() -> None:
    organisation = Organisation()
    nameless = {"email": "x@toast.test"}
    driven = many("lead", "add", LEAD, nameless, {**LEAD, "email": "no"}, LEAD, fake=organisation)
    assert ways(driven) == ["POST composite/sobjects"] and driven.refusals == []
    assert driven.requests[0].items == (0, 2, 3)
    assert driven.requests[0].json["records"][0] == {
        "attributes": {"type": "Lead"},
        "Company": "Toast",
        "LastName": "Li",
        "Email": ANN,
    }
    assert {index: each.code for index, each in driven.failures.items()} == {
        1: "PAYLOAD_VALIDATION_FAILED",
        2: "INVALID_EMAIL_ADDRESS",
    }
    assert len(organisation.records["Lead"]) == 2


def test_a_batch_of_upserts_names_no_record_twice_in_a_request() -> None:
    organisation = Organisation()
    given = [user(1, title="a"), user(2), user(1, title="b"), user("X"), user("x", title="c")]
    driven = many("lead", "upsert", *given, fake=organisation)
    assert ways(driven) == ["PATCH composite/sobjects/Lead/User_Id__c"] * 2
    assert [each.items for each in driven.requests] == [(0, 1, 3), (2, 4)]
    assert driven.refusals == [] and not driven.failures
    (known,) = organisation.find("Lead", User_Id__c="1")
    assert organisation.records["Lead"][known]["Title"] == "b", "the last word counts"


def test_batches_of_updates_and_deletions_by_id() -> None:
    organisation = Organisation()
    for _ in "abc":
        do("lead", "add", LEAD, fake=organisation)
    first, second, third = organisation.records["Lead"]
    organisation.locked = {second}
    given = [{"bulkUpdateRecordId": each, "title": "Chef"} for each in (first, second, "gone")]
    driven = many("lead", "update", *given, fake=organisation)
    assert ways(driven) == ["PATCH composite/sobjects"] and driven.refusals == []
    found = {index: (each.status, each.code) for index, each in driven.failures.items()}
    assert found == {1: (503, "UNABLE_TO_LOCK_ROW"), 2: (400, "NOT_FOUND")}
    gone = [{"traits": {"Id": each}} for each in (first, third, "gone")]
    driven = many("lead", "delete", *gone, fake=organisation)
    assert ways(driven) == ["DELETE composite/sobjects"] and driven.refusals == []
    assert set(driven.failures) == {2} and list(organisation.records["Lead"]) == [second]


def test_others_of_a_batch_are_searched_for_one_by_one() -> None:
    organisation = Organisation()
    wanted = [{"traits": {"Email": f"{each}@toast.test"}} for each in "abc"]
    do("lead", "add", LEAD | {"email": "b@toast.test"}, fake=organisation)
    driven = many("lead", "update", *wanted, fake=organisation)
    assert {index: each.status for index, each in driven.failures.items()} == {0: 404, 2: 404}
    assert [each.items for each in driven.requests] == [(0,), (1,), (1,), (2,)]


def test_what_passes_stops_a_batch_of_searches_so_that_the_rest_is_tried_again() -> None:
    organisation = Organisation()
    for name in "abc":
        do("lead", "add", LEAD | {"email": f"{name}@toast.test"}, fake=organisation)
    organisation.locked = {list(organisation.records["Lead"])[1]}
    wanted = [{"title": "Chef", "traits": {"Email": f"{each}@toast.test"}} for each in "abc"]
    driven = many("lead", "update", *wanted, fake=organisation)
    assert driven.error is not None and driven.error.status == 503
    assert [each.items for each in driven.requests] == [(0,), (0,), (1,), (1,)]


def test_objects_of_a_batch_are_told_apart() -> None:
    organisation = Organisation()
    orders = [
        {
            "customObjectName": "Order__c",
            "customFields": {"Total__c": number},
            "bulkUpsertExternalId": {
                "externalIdName": "Order_Id__c",
                "externalIdValue": f"o{number}",
            },
        }
        for number in range(2)
    ]
    account = {
        "customObjectName": "Account",
        "customFields": {"Name": "Toast"},
        "bulkUpsertExternalId": {"externalIdName": "User_Id__c", "externalIdValue": "g"},
    }
    driven = many("customObject", "upsert", orders[0], account, orders[1], fake=organisation)
    assert driven.refusals == [] and not driven.failures
    assert [each.items for each in driven.requests] == [(0, 2), (1,)]


@pytest.mark.parametrize(
    ("status", "code", "seen"),
    [
        (403, "REQUEST_LIMIT_EXCEEDED", 503),
        (400, "UNABLE_TO_LOCK_ROW", 503),
        (400, "DUPLICATES_DETECTED", 400),
        (503, "SERVER_UNAVAILABLE", 503),
        (401, "INVALID_SESSION_ID", 401),
    ],
)
def test_what_passes_is_tried_again(status: int, code: str, seen: int) -> None:
    answer = Answer(status, {}, json.dumps([{"errorCode": code, "message": "so"}]).encode())
    for driven in (
        do("lead", "add", LEAD, fake=lambda request: answer),
        many("lead", "add", LEAD, LEAD, fake=lambda request: answer),
    ):
        assert driven.error is not None and driven.error.status == seen
        if status != 401:
            assert (driven.error.code, str(driven.error)) == (
                code,
                "Salesforce refused the record: so",
            )


def test_an_answer_that_does_not_say_what_became_of_the_records() -> None:
    driven = many("lead", "add", LEAD, LEAD, fake=lambda request: Answer(200, {}, b"[]"))
    assert driven.error is not None and driven.error.status == 502
