"""Zendesk against its strict fake."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from penstock.destinations.catalog.zendesk import DESTINATION
from penstock.destinations.contract import Answer, Request
from penstock.destinations.model import MappingSetup
from tests.destinations.fakes.feeding import GONE, Fed, changed, feed, refusal
from tests.destinations.fakes.strict import Fake
from tests.destinations.fakes.zendesk import AGENT, TOKEN, Account
from tests.destinations.reference import generation

SETTINGS = {"domain": "toastmates", "email": AGENT, "apiToken": TOKEN}
ALL = [
    MappingSetup("upsertUser", fields={"user_fields": {"@path": "$.traits"}}),
    MappingSetup("upsertOrganization", fields={"organization_fields": {"@path": "$.traits"}}),
    MappingSetup("trackEvent"),
]


def event(kind: str, user: str = "u1", **traits: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"type": kind, "userId": user, "messageId": "m1", "context": {}}
    made |= {"groupId": "g1"} if kind == "group" else {}
    return made | {"traits": traits}


def track(**more: Any) -> dict[str, Any]:
    return {
        "type": "track",
        "event": "Order Completed",
        "messageId": "m1",
        "userId": "u1",
        "timestamp": "2026-03-04T05:06:07.089Z",
        "properties": {"total": 9},
    } | more


def send(
    *given: dict[str, Any],
    account: Fake | None = None,
    mappings: list[MappingSetup] | None = None,
    **settings: Any,
) -> Fed:
    return feed(DESTINATION, SETTINGS | settings, given, account or Account(), mappings)


def test_events_of_every_kind_are_taken() -> None:
    account = Account()
    given = list(generation.events(seed=37, others=60))
    fed = send(*given, account=account, mappings=ALL)
    assert {said for said in fed.refusals if "already been taken" not in said} == set()
    assert len(fed.sent("upsertUser")) > 20 and len(fed.sent("upsertOrganization")) > 10
    assert len(fed.sent("trackEvent")) > 100 and account.events == len(fed.sent("trackEvent"))
    assert account.memberships
    assert set(fed.errors) <= {
        "email is no address of mail",
        "a user needs a name: map name, or first_name and last_name",
        "a user needs an e-mail or an external id",
        "an event needs a user: an external id or an e-mail",
    }


def test_a_user_is_created_and_updated() -> None:
    account = Account()
    traits: dict[str, Any] = {
        "email": " Ann@toast.test ",
        "firstName": "Ann",
        "lastName": "Lee",
        "plan": {"a": 1},
    }
    fed = send(
        event("identify", **traits), event("identify", name="Ann B", phone="+47"), account=account
    )
    assert fed.refusals == [] and fed.errors == []
    assert fed.requests[0].json == {
        "user": {
            "name": "Ann Lee",
            "external_id": "u1",
            "email": "Ann@toast.test",
            "skip_verify_email": True,
        }
    }
    assert len(account.users) == 1 and account.users[0]["name"] == "Ann B"


def test_own_fields_hold_no_lists_or_objects() -> None:
    fed = send(event("identify", name="Ann", age=7, tags=["a"], plan={"a": 1}), mappings=ALL)
    assert fed.requests[0].json["user"]["user_fields"] == {"name": "Ann", "age": 7}


@pytest.mark.parametrize(
    ("setting", "flags"), [("verified", {"verified": True}), ("send_verification", {})]
)
def test_mail_to_new_users_is_a_setting(setting: str, flags: dict[str, bool]) -> None:
    chosen: dict[str, Any] = {setting: True}
    (request,) = send(event("identify", name="Ann"), **chosen).requests
    told = request.json["user"]
    assert {key: told[key] for key in ("verified", "skip_verify_email") if key in told} == flags


def test_an_organization_and_its_member() -> None:
    account = Account()
    group = event("group", name="Toast Ltd", domainNames="toast.test")
    known = [event("identify", name="Ann"), group, group]
    fed = send(*known, account=account)
    assert fed.refusals == [] and fed.errors == []
    assert account.organizations[0]["external_id"] == "g1"
    assert account.organizations[0]["domain_names"] == ["toast.test"]
    assert account.memberships == [{"user_id": 1, "organization_id": 1}]
    assert [len(driven.requests) for _, driven in fed.driven] == [1, 4, 3], "joined once"


def test_a_member_whom_zendesk_does_not_know() -> None:
    account = Account()
    group = event("group", name="Toast Ltd")
    assert len(send(group, account=account).requests) == 2 and account.memberships == []
    named = group | {"context": {"traits": {"name": "Ann", "email": "ann@toast.test"}}}
    assert send(named, account=account).refusals == []
    assert account.users[0]["email"] == "ann@toast.test" and len(account.memberships) == 1
    del group["userId"]
    assert len(send(group, account=account).requests) == 1


def test_an_event_in_the_timeline() -> None:
    email = {"context": {"traits": {"email": "ann@toast.test"}}}
    fed = send(track(**email), mappings=ALL)
    assert fed.refusals == [] and fed.requests[0].json == {
        "event": {
            "source": "penstock",
            "type": "Order Completed",
            "description": "Order Completed",
            "properties": {"total": 9},
            "created_at": "2026-03-04T05:06:07Z",
        },
        "profile": {
            "source": "penstock",
            "type": "customer",
            "identifiers": [
                {"type": "external_id", "value": "u1"},
                {"type": "email", "value": "ann@toast.test"},
            ],
        },
    }
    assert "zendesk" in send(track(), mappings=ALL, source="Zendesk").errors[0]
    assert "needs a user" in send(track(userId=None), mappings=ALL).errors[0]


def test_a_conflict_is_tried_again() -> None:
    def busy(request: Request) -> Answer:
        return Answer(409, {}, b'{"error":"Conflict"}')

    ((_, driven),) = send(event("identify", name="Ann"), account=busy).driven
    assert driven.error is not None and driven.error.code == "RETRY"


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("user.name", GONE),
        ("user.name", ""),
        ("user.email", "no address"),
        ("user.external_id", 7),
        ("user.user_fields", {"plan": {"a": 1}}),
        ("user.role_name", "end-user"),
        ("user.verified", "yes"),
        ("user.tags", "vip"),
        ("name", "Ann"),
    ],
)
def test_the_fake_refuses(place: str, value: Any) -> None:
    (request,) = send(event("identify", name="Ann", email="ann@toast.test")).requests
    assert refusal(Account(), request) == ""
    assert refusal(Account(), changed(request, place, value))


def test_the_fake_refuses_more() -> None:
    (request,) = send(track(), mappings=ALL).requests
    assert refusal(Account(), request) == ""
    for place, value in (
        ("event.source", "zendesk"),
        ("event.type", "x" * 41),
        ("event.properties", GONE),
        ("profile.identifiers", []),
        ("event.created_at", "2026-03-04"),
    ):
        assert refusal(Account(), changed(request, place, value)), place
    assert refusal(Account(), replace(request, headers={}))
    assert refusal(Account(), replace(request, url=request.url.replace("toastmates", "other")))
    account = Account()
    joined = send(event("identify", name="A"), event("group", name="T"), account=account)
    assert "already been taken" in refusal(account, joined.requests[-1])
