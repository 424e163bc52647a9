"""HubSpot against its strict fake: contacts, companies, records, events and batches."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from penstock.destinations.catalog.hubspot import DESTINATION
from penstock.destinations.contract import Answer, Call, Request
from penstock.destinations.model import MappingSetup
from penstock.destinations.setup import check_settings
from penstock.errors import ConfigurationError
from tests.destinations.fakes.feeding import Fed, changed, feed, refusal
from tests.destinations.fakes.hubspot import TOKEN, Portal
from tests.destinations.fakes.strict import NOW, Driven, Fake, drive
from tests.destinations.reference import generation

ANN, BOB = "ann@toast.test", "bob@toast.test"
KEY = "segment_group_id"
COMPANY: dict[str, Any] = {
    "groupid": "g/1",
    "createNewCompany": True,
    "associateContact": False,
    "name": "Toast",
}
DEAL: dict[str, Any] = {
    "objectType": "deals",
    "customObjectSearchFields": {"order_id": "o1"},
    "properties": {"dealname": " Order ", "amount": 7, "order_id": "o1"},
}
LINKED = {
    **DEAL,
    "toObjectType": "contacts",
    "associationLabel": "HUBSPOT_DEFINED:3",
    "searchFieldsToAssociateCustomObjects": {"email": ANN},
}


def send(*given: dict[str, Any], fake: Fake, mappings: Sequence[MappingSetup] | None = None) -> Fed:
    return feed(DESTINATION, {"accessToken": TOKEN}, given, fake, mappings)


def do(
    slug: str, *payloads: dict[str, Any], fake: Fake, batched: bool = False, hub: str = ""
) -> Driven:
    filled = check_settings(DESTINATION, {"accessToken": TOKEN, "portalId": hub})
    given = [dict(each) for each in payloads]
    call = Call(given, filled, NOW, lambda: "new", batched=batched)
    return drive(DESTINATION, slug, call, fake)


def many(*payloads: dict[str, Any], fake: Fake) -> Driven:
    return do("upsertContact", *payloads, fake=fake, batched=True)


def ways(driven: Driven) -> list[str]:
    start = "https://api.hubapi.com/"
    return [f"{each.method} {each.url.removeprefix(start)}" for each in driven.requests]


def test_events_of_every_kind_are_taken() -> None:
    portal = Portal()
    fed = send(*generation.events(seed=43, others=80), fake=portal)
    assert fed.refusals == []
    assert len(fed.sent("upsertContact")) > 5 and len(fed.sent("upsertCompany")) > 5
    told = ("HubSpot has no contact", "the property segment_group_id was missing")
    assert all(each.startswith(told) for each in fed.errors), set(fed.errors)


def test_a_contact_is_made_once_and_then_kept_up_to_date() -> None:
    portal = Portal()
    first = {
        "email": ANN,
        "firstname": " Ann ",
        "properties": {"langs": ["en", "no"], "plan": None},
    }
    assert ways(do("upsertContact", first, fake=portal)) == [
        "PATCH crm/v3/objects/contacts/ann@toast.test?idProperty=email",
        "POST crm/v3/objects/contacts",
    ]
    driven = do("upsertContact", {"email": ANN.upper(), "firstname": "Anna"}, fake=portal)
    assert len(driven.requests) == 1 and driven.error is None
    (contact,) = portal.objects["contacts"].values()
    assert (contact["firstname"], contact["langs"]) == ("Anna", "en;no")


def test_a_stage_is_moved_backwards_too() -> None:
    portal = Portal()
    portal.add("contacts", email=ANN, lifecyclestage="customer")
    driven = do("upsertContact", {"email": ANN, "lifecyclestage": "Lead"}, fake=portal)
    assert [each.method for each in driven.requests] == ["PATCH"] * 3
    assert portal.objects["contacts"]["1"]["lifecyclestage"] == "lead"
    driven = do("upsertContact", {"email": ANN, "lifecyclestage": "customer"}, fake=portal)
    assert len(driven.requests) == 1


def test_a_batch_makes_the_new_and_changes_the_known() -> None:
    portal = Portal()
    portal.add("contacts", email=ANN, lifecyclestage="customer")
    portal.add(
        "contacts", email="old@toast.test", hs_additional_emails="x@toast.test;also@toast.test"
    )
    driven = many(
        {"email": ANN, "lifecyclestage": "Lead", "firstname": "Ann"},
        {"email": BOB, "firstname": "B"},
        {"email": "Also@toast.test", "firstname": "O"},
        {"email": BOB.upper(), "firstname": "Bob"},
        fake=portal,
    )
    assert driven.refusals == [] and driven.error is None and not driven.failures
    ann, old, bob = portal.objects["contacts"].values()
    assert (ann["firstname"], ann["lifecyclestage"]) == ("Ann", "lead")
    assert (old["firstname"], old["email"]) == ("O", "old@toast.test")
    assert (bob["firstname"], bob["email"]) == ("Bob", BOB), "the last word counts"
    batch = "POST crm/v3/objects/contacts/batch/"
    assert ways(driven) == [f"{batch}read", f"{batch}create", *[f"{batch}update"] * 3]
    assert [each.items for each in driven.requests] == [None, (1, 3), (0, 2), (0,), (0,)]


def test_contacts_that_hubspot_says_nothing_of_are_tried_again() -> None:
    missing = {"category": "OBJECT_NOT_FOUND", "context": {"ids": [BOB]}}
    body = json.dumps({"results": [], "errors": [missing]}).encode()

    def fake(request: Request) -> Answer:
        return Answer(207, {}, body) if request.url.endswith("read") else Answer(201, {}, b"{}")

    driven = many({"email": ANN}, {"email": BOB}, fake=fake)
    assert {index: each.status for index, each in driven.failures.items()} == {0: 500}
    assert driven.requests[1].items == (1,)


@pytest.mark.parametrize("status", [400, 401, 429, 502])
def test_a_refusal_of_a_part_concerns_that_part(status: int) -> None:
    portal = Portal()
    portal.add("contacts", email=ANN)

    def fake(request: Request) -> Answer:
        last = request.url.endswith("update")
        return Answer(status, {}, b"{}") if last else portal(request)

    driven = many({"email": ANN}, {"email": BOB}, fake=fake)
    assert driven.error is not None and driven.error.status == status
    assert [each.items for each in driven.requests] == [None, (1,), (0,)]


def test_a_company_is_known_by_the_group_id_from_then_on() -> None:
    portal = Portal(KEY)
    first = do("upsertCompany", COMPANY, fake=portal)
    assert ways(first) == [
        f"PATCH crm/v3/objects/companies/g%2F1?idProperty={KEY}",
        "POST crm/v3/objects/companies",
    ]
    second = do("upsertCompany", {**COMPANY, "lifecyclestage": "Customer"}, fake=portal)
    assert len(second.requests) == 1
    assert portal.objects["companies"] == {
        "1": {"name": "Toast", KEY: "g/1", "lifecyclestage": "customer"}
    }


def test_the_property_of_the_group_id_is_made_when_hubspot_lacks_it() -> None:
    portal = Portal()
    first = do("upsertCompany", COMPANY, fake=portal)
    assert first.error is not None and first.error.code == "RETRY"
    assert KEY in portal.known["companies"] and not portal.objects["companies"]
    assert do("upsertCompany", COMPANY, fake=portal).error is None
    assert len(portal.objects["companies"]) == 1


def test_a_company_that_the_search_fields_find_gets_the_group_id() -> None:
    portal = Portal(KEY)
    portal.add("companies", name="Old", domain="toast.test")
    wanted = {**COMPANY, "companysearchfields": {"domain": "toast.test", "phone": "1"}}
    assert do("upsertCompany", wanted, fake=portal).refusals == []
    assert portal.objects["companies"]["1"][KEY] == "g/1"
    portal = Portal(KEY)
    for _ in "ab":
        portal.add("companies", domain="toast.test")
    several = do("upsertCompany", wanted, fake=portal)
    assert several.error is not None
    assert (several.error.status, several.error.code) == (400, "NOT_UNIQUE")
    unknown = {**COMPANY, "createNewCompany": False}
    assert do("upsertCompany", unknown, fake=portal).skipped
    own = {**COMPANY, "properties": {KEY: "x"}}
    assert "groupid" in str(do("upsertCompany", own, fake=portal).error)


def test_the_contact_belongs_to_the_company() -> None:
    portal = Portal(KEY)
    linked = {**COMPANY, "associateContact": True, "contact_email": ANN}
    early = do("upsertCompany", linked, fake=portal)
    assert early.error is not None
    assert (early.error.status, early.error.code) == (500, "CONTACT_MISSING")
    assert not portal.objects["companies"]
    contact = portal.add("contacts", email=ANN)
    assert do("upsertCompany", linked, fake=portal).error is None
    assert portal.links == {("2", contact)}
    nobody = {**COMPANY, "associateContact": True}
    assert "contact_email" in str(do("upsertCompany", nobody, fake=portal).error)


def test_a_record_is_found_or_made() -> None:
    portal = Portal()
    for amount in (7, 9):
        told = {**DEAL, "properties": {**DEAL["properties"], "amount": amount}}
        assert do("upsertCustomObjectRecord", told, fake=portal).refusals == []
    assert portal.objects["deals"] == {"1": {"dealname": "Order", "amount": 9, "order_id": "o1"}}
    unknown = {
        **DEAL,
        "customObjectSearchFields": {"order_id": "o2"},
        "createNewCustomRecord": False,
    }
    assert do("upsertCustomObjectRecord", unknown, fake=portal).skipped
    portal.add("deals", order_id="o1")
    several = do("upsertCustomObjectRecord", DEAL, fake=portal)
    assert several.error is not None and several.error.code == "NOT_UNIQUE"


def test_a_record_is_associated_with_another() -> None:
    portal = Portal()
    contact = portal.add("contacts", email=ANN)
    made = do("upsertCustomObjectRecord", LINKED, fake=portal)
    assert made.refusals == [] and portal.links == {("2", contact)}
    assert made.requests[-1].json["associations"][0]["types"] == [
        {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 3}
    ]
    portal.links.clear()
    found = do("upsertCustomObjectRecord", LINKED, fake=portal)
    assert found.refusals == [] and portal.links == {("2", contact)}
    assert ways(found)[-1] == f"PUT crm/v4/objects/deals/2/associations/contacts/{contact}"
    for email in (BOB, None):
        portal.add("contacts", plan="x", **({"email": email} if email else {}))
    unclear = {**LINKED, "searchFieldsToAssociateCustomObjects": {"plan": "x"}}
    driven = do("upsertCustomObjectRecord", unclear, fake=portal)
    assert "not associated" in str(driven.error)
    assert driven.error is not None and driven.error.status == 400


def test_events_have_the_name_that_is_defined_in_hubspot() -> None:
    portal = Portal()
    given = {
        "eventName": "pe77_Order. Completed",
        "email": ANN,
        "occurredAt": "2026-03-04T05:06:07Z",
        "properties": {"total": 7.5, "items": [{"a": 1}, "b"], "none": None},
    }
    driven = do("sendCustomBehavioralEvent", given, fake=portal, hub="77")
    assert driven.refusals == [] and driven.error is None
    assert portal.events == [
        {
            **given,
            "eventName": "pe77_order_completed",
            "properties": {"total": 7.5, "items": '{"a":1};b'},
        }
    ]
    other = do("sendCustomBehavioralEvent", given, fake=portal, hub="78")
    assert "does not begin with pe78_" in str(other.error) and not other.requests
    plain = do("sendCustomBehavioralEvent", {**given, "eventName": "Paid"}, fake=portal)
    assert "pe<hub id>_" in str(plain.error)
    nobody = do("sendCustomBehavioralEvent", {"eventName": "pe77_paid"}, fake=portal)
    assert "needs one of email, utk and objectId" in str(nobody.error)


def test_a_group_call_adds_the_person_to_the_company() -> None:
    portal = Portal(KEY)
    contact = portal.add("contacts", email=ANN)
    event = {
        "type": "group",
        "messageId": "m1",
        "timestamp": "2026-03-04T05:06:07.089Z",
        "groupId": "g1",
        "traits": {"name": "Toast", "employees": "12", "website": "toast.test"},
        "context": {"traits": {"email": ANN}},
    }
    fed = send(event, fake=portal)
    assert fed.refusals == [] and fed.errors == []
    assert portal.objects["companies"]["2"] == {
        "name": "Toast",
        "numberofemployees": 12,
        "domain": "toast.test",
        KEY: "g1",
    }
    assert portal.links == {("2", contact)}
    event["context"] = {}
    assert send(event, fake=portal).errors == [], "without an e-mail nobody is added"


def test_settings() -> None:
    with pytest.raises(ConfigurationError):
        check_settings(DESTINATION, {"portalId": "77"})
    assert [each.key for each in DESTINATION.settings if each.secret] == ["accessToken"]
    assert DESTINATION.check is not None
    checked = DESTINATION.check(check_settings(DESTINATION, {"accessToken": TOKEN}))
    assert (checked.method, checked.query) == ("GET", {"limit": "1"})
    assert do("upsertContact", {"email": ANN}, fake=Portal()).requests[0].headers == {
        "authorization": f"Bearer {TOKEN}"
    }


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("properties", None),
        ("properties.firstname", ["Ann"]),
        ("properties.firstname", None),
        ("properties.nope", "x"),
        ("email", ANN),
        ("associations", [{"to": {}}]),
    ],
)
def test_the_fake_refuses(place: str, value: Any) -> None:
    (_, request) = do("upsertContact", {"email": ANN, "firstname": "Ann"}, fake=Portal()).requests
    assert refusal(Portal(), request) == ""
    if value is None and place == "properties":
        assert refusal(Portal(), replace(request, json={}))
    else:
        assert refusal(Portal(), changed(request, place, value))


def test_the_fake_knows_token_searches_and_batches() -> None:
    portal = Portal()
    search, made = do("upsertCustomObjectRecord", DEAL, fake=portal).requests
    assert refusal(portal, search) == "" and refusal(portal, replace(search, headers={})) == "401"
    groups = search.json["filterGroups"]
    assert refusal(portal, changed(search, "filterGroups", groups * 6))
    assert refusal(portal, changed(search, "filterGroups.0.filters.0.operator", "IS"))
    assert refusal(portal, replace(made, url=made.url.replace("deals", "dealz")))
    read, create = many({"email": ANN}, {"email": BOB}, fake=portal).requests
    assert refusal(portal, read) == "" and refusal(portal, create) == "409"
    assert refusal(portal, changed(read, "inputs", read.json["inputs"] * 51))
