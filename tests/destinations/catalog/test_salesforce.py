"""Salesforce against its strict fake: searches, external ids, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from penstock.destinations.catalog.salesforce import DESTINATION
from penstock.destinations.contract import Request
from penstock.destinations.setup import check_settings
from penstock.errors import ConfigurationError
from tests.destinations.catalog.salesforce_calls import (
    ANN,
    LEAD,
    SETTINGS,
    do,
    event,
    many,
    send,
    user,
    ways,
)
from tests.destinations.fakes.feeding import changed, refusal
from tests.destinations.fakes.salesforce import HOME, Organisation
from tests.destinations.reference import generation


def test_events_of_every_kind_are_taken() -> None:
    organisation = Organisation()
    fed = send(*generation.events(seed=37, others=80), fake=organisation)
    assert fed.refusals == []
    assert len(fed.sent("lead")) > 5 and len(fed.sent("account")) > 5
    expected = ("a new Lead needs", "a new Account needs", "Salesforce refused the record: Email")
    told = ("nothing tells which record", "2 records of Account match")
    assert all(each.startswith((*expected, *told)) for each in fed.errors), set(fed.errors)


def test_a_lead_is_made_once_and_then_kept_up_to_date() -> None:
    organisation = Organisation()
    address = {"street": "1 Main St", "city": "Oslo", "postalCode": "0150", "country": "NO"}
    first = event(company={"name": "Toast"}, phone="+47 22", address=address)
    fed = send(first, event(lastName="Lee"), fake=organisation)
    ((known, record),) = organisation.records["Lead"].items()
    assert fed.refusals == [] and fed.errors == []
    assert record == {
        "Company": "Toast",
        "LastName": "Lee",
        "Email": ANN,
        "Phone": "+47 22",
        "Street": "1 Main St",
        "City": "Oslo",
        "PostalCode": "0150",
        "Country": "NO",
    }
    assert [each.method for each in fed.requests] == ["GET", "POST", "GET", "PATCH"]
    assert fed.requests[3].url.endswith(f"/sobjects/Lead/{known}")


def test_a_lead_without_company_is_made_but_the_company_of_another_stays() -> None:
    organisation = Organisation()
    send(
        event(email="bob@toast.test"), event(company={"name": "Toast"}), event(), fake=organisation
    )
    companies = [each["Company"] for each in organisation.records["Lead"].values()]
    assert companies == ["n/a", "Toast"]


def test_what_a_new_record_needs() -> None:
    organisation = Organisation()
    driven = do("lead", "upsert", {"email": ANN, "traits": {"Email": ANN}}, fake=organisation)
    assert str(driven.error) == "a new Lead needs LastName" and ways(driven) == ["GET query/"]
    driven = do("opportunity", "add", {"name": "Big"}, fake=organisation)
    assert str(driven.error) == "a new Opportunity needs CloseDate, StageName"
    assert not driven.requests


@pytest.mark.parametrize("mode", ["update", "delete"])
def test_a_record_that_is_not_there(mode: str) -> None:
    driven = do("contact", mode, {"traits": {"Email": ANN}}, fake=Organisation())
    assert driven.error is not None
    assert (driven.error.status, driven.error.code) == (404, "RECORD_NOT_FOUND")
    assert ways(driven) == ["GET query/"]


@pytest.mark.parametrize("mode", ["update", "upsert", "delete"])
def test_when_several_match_none_is_changed(mode: str) -> None:
    organisation = Organisation()
    for _ in "ab":
        do("lead", "add", LEAD, fake=organisation)
    before = json.dumps(organisation.records)
    driven = do("lead", mode, LEAD | {"traits": {"Email": ANN}}, fake=organisation)
    assert driven.error is not None and driven.error.status == 300
    assert json.dumps(organisation.records) == before


def test_one_or_all_must_match() -> None:
    organisation = Organisation()
    for number in (1, 2):
        own = {"User_Id__c": f"u{number}", "Age__c": number}
        do("lead", "add", LEAD | {"customFields": own}, fake=organisation)
    both = {"Email": ANN.upper(), "Age__c": 2}
    wide = do("lead", "delete", {"traits": both}, fake=organisation)
    assert wide.error is not None and wide.error.status == 300
    narrow = {"traits": both, "recordMatcherOperator": "AND"}
    assert do("lead", "delete", narrow, fake=organisation).error is None
    assert len(organisation.records["Lead"]) == 1
    missing = {"traits": {"Email": ANN, "User_Id__c": None}, "recordMatcherOperator": "AND"}
    assert "texts, numbers" in str(do("lead", "delete", missing, fake=organisation).error)
    nothing = {"traits": {"Email": None}}
    assert "nothing tells" in str(do("lead", "delete", nothing, fake=organisation).error)


@pytest.mark.parametrize("note", ["it's", "a\\", "a\\' OR Order_Id__c != 'x", "two\nlines", "å%_"])
def test_texts_cannot_break_out_of_the_question(note: str) -> None:
    organisation = Organisation()
    given = {"customObjectName": "Order__c", "customFields": {"Note__c": note}}
    for other in (given, {**given, "customFields": {"Note__c": "other"}}):
        do("customObject", "add", other, fake=organisation)
    driven = do("customObject", "delete", {**given, "traits": {"Note__c": note}}, fake=organisation)
    assert driven.refusals == [] and driven.error is None
    assert [each["Note__c"] for each in organisation.records["Order__c"].values()] == ["other"]


@pytest.mark.parametrize(
    "given",
    [
        {"customObjectName": "Order__c WHERE", "customFields": {}},
        {"customObjectName": "Order__c", "customFields": {"Note__c/..": "x"}},
        {"customObjectName": "Order__c", "customFields": {}, "traits": {"1 = 1 OR Id": "x"}},
    ],
)
def test_what_is_no_name(given: dict[str, Any]) -> None:
    driven = do("customObject", "upsert", given, fake=Organisation())
    assert "is no name of a field or object" in str(driven.error) and not driven.requests


def test_objects_of_ones_own_with_lists_and_related_records() -> None:
    organisation = Organisation()
    order = {
        "customObjectName": "Order__c",
        "customFields": {"Order_Id__c": "o1", "Total__c": 7.5, "Paid__c": True},
        "traits": {"Order_Id__c": "o1", "Paid__c": True},
    }
    for _ in "ab":
        assert do("customObject", "upsert", order, fake=organisation).refusals == []
    assert list(organisation.records["Order__c"].values()) == [order["customFields"]]
    related = {"customFields": {"Langs__c": ["en", "no"], "Account": {"User_Id__c": "g"}}}
    driven = do("contact", "add", LEAD | related, fake=organisation)
    assert driven.requests[0].json["Langs__c"] == "en;no"
    assert driven.requests[0].json["Account"] == {"User_Id__c": "g"} and not driven.refusals
    nothing = do("customObject", "add", {"customObjectName": "Order__c"}, fake=organisation)
    assert "map customFields" in str(nothing.error)


def test_a_deal_has_a_day_and_an_amount() -> None:
    deal = {"name": "Big", "stage_name": "Won", "close_date": "2026-03-31T23:30:00-02:00"}
    organisation = Organisation()
    driven = do("opportunity", "add", deal | {"amount": "12.50"}, fake=organisation)
    assert driven.refusals == []
    (record,) = organisation.records["Opportunity"].values()
    assert (record["CloseDate"], record["Amount"]) == ("2026-04-01", "12.50")
    soon = do("opportunity", "add", deal | {"close_date": "soon"}, fake=organisation)
    assert str(soon.error) == "close_date is no date"


def test_salesforces_own_id_saves_the_search() -> None:
    organisation = Organisation()
    do("lead", "add", LEAD, fake=organisation)
    (known,) = organisation.records["Lead"]
    told = do("lead", "update", {"bulkUpdateRecordId": known, "title": "Chef"}, fake=organisation)
    assert ways(told) == [f"PATCH sobjects/Lead/{known}"]
    assert organisation.records["Lead"][known]["Title"] == "Chef"
    gone = do("lead", "delete", {"traits": {"Id": known}}, fake=organisation)
    assert ways(gone) == [f"DELETE sobjects/Lead/{known}"] and not organisation.records["Lead"]


def test_an_upsert_by_external_id_is_one_request() -> None:
    organisation = Organisation()
    for title in ("Cook", "Chef"):
        driven = do("lead", "upsert", user("a/b c", title=title), fake=organisation)
        assert ways(driven) == ["PATCH sobjects/Lead/User_Id__c/a%2Fb%20c"]
        assert driven.refusals == [] and driven.error is None
    (record,) = organisation.records["Lead"].values()
    assert (record["User_Id__c"], record["Title"]) == ("a/b c", "Chef")


def test_settings() -> None:
    assert DESTINATION.off_by_default
    for wrong in ("http://toast.my.salesforce.com", "https://toast.example.com", "toast"):
        with pytest.raises(ConfigurationError):
            check_settings(DESTINATION, {**SETTINGS, "instanceUrl": wrong})
    assert DESTINATION.check is not None
    checked = DESTINATION.check(check_settings(DESTINATION, SETTINGS))
    assert checked.url == f"{HOME}/services/data/v53.0/limits"
    presets = {each.action for each in DESTINATION.presets}
    assert presets == {"lead", "account"}


def test_where_one_signs_in() -> None:
    assert DESTINATION.oauth is not None
    filled = check_settings(DESTINATION, SETTINGS)
    url = DESTINATION.oauth.token_url.format_map(filled)
    assert url == "https://login.salesforce.com/services/oauth2/token"
    sandbox = check_settings(DESTINATION, {**SETTINGS, "loginHost": "test.salesforce.com"})
    assert DESTINATION.oauth.token_url.format_map(sandbox).startswith("https://test.")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("Email", 5),
        ("Company", None),
        ("company", "Toast"),
        ("LastName", ""),
        ("Age__c", "old"),
    ],
)
def test_the_fake_refuses(place: str, value: Any) -> None:
    (request,) = do("lead", "add", LEAD, fake=Organisation()).requests
    assert refusal(Organisation(), request) == ""
    assert refusal(Organisation(), changed(request, place, value))


def test_the_fake_knows_questions_collections_and_sessions() -> None:
    organisation = Organisation()
    (asked, _) = do("lead", "upsert", LEAD | {"traits": {"Email": ANN}}, fake=organisation).requests
    assert refusal(organisation, asked) == ""
    assert refusal(organisation, replace(asked, headers={})) == "401"
    for soql in ("SELECT Id FROM Lead WHERE Email = 'o'neil'", "SELECT Id FROM Lead WHERE x = 'y'"):
        assert refusal(organisation, replace(asked, query={"q": soql}))
    (made,) = many("lead", "add", LEAD, LEAD, fake=organisation).requests
    assert refusal(organisation, made) == ""
    for place, value in (("attributes", {}), ("id", "x"), ("Nope__c", 1)):
        wrong: Request = changed(made, f"records.0.{place}", value)
        assert refusal(organisation, wrong), place
    assert refusal(organisation, changed(made, "records", made.json["records"] * 101))
