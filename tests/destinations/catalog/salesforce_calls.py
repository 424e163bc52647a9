"""Calls to the strict fake of Salesforce."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penstock.destinations.catalog.salesforce import DESTINATION
from penstock.destinations.contract import Call
from penstock.destinations.model import MappingSetup
from penstock.destinations.setup import check_settings
from tests.destinations.fakes.feeding import Fed, feed
from tests.destinations.fakes.salesforce import HOME, TOKEN
from tests.destinations.fakes.strict import NOW, Driven, Fake, drive

__all__ = ["ANN", "LEAD", "SETTINGS", "do", "event", "many", "send", "user", "ways"]

ANN = "ann@toast.test"
SETTINGS = {
    "instanceUrl": f"{HOME}/",
    "client_id": "3MVG9",
    "client_secret": "s3cret",
    "refresh_token": "5Aep861",
}
LEAD = {"last_name": "Li", "email": ANN, "company": "Toast"}


def event(kind: str = "identify", **traits: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "messageId": "m1",
        "timestamp": "2026-03-04T05:06:07.089Z",
        "userId": "u",
        "groupId": "g",
        "context": {},
        "traits": {"email": ANN, "lastName": "Li"} | traits,
    }


def send(*given: dict[str, Any], fake: Fake, mappings: Sequence[MappingSetup] | None = None) -> Fed:
    return feed(DESTINATION, SETTINGS, given, fake, mappings, TOKEN)


def do(
    slug: str, mode: str, *payloads: dict[str, Any], fake: Fake, batched: bool = False
) -> Driven:
    filled = check_settings(DESTINATION, SETTINGS)
    given = [dict(each) for each in payloads]
    call = Call(given, filled, NOW, lambda: "new", sync_mode=mode, batched=batched)
    return drive(DESTINATION, slug, call, fake, TOKEN)


def many(slug: str, mode: str, *payloads: dict[str, Any], fake: Fake) -> Driven:
    return do(slug, mode, *payloads, fake=fake, batched=True)


def ways(driven: Driven) -> list[str]:
    start = f"{HOME}/services/data/v53.0/"
    return [f"{each.method} {each.url.removeprefix(start)}" for each in driven.requests]


def user(number: int | str, **more: Any) -> dict[str, Any]:
    told = {"externalIdName": "User_Id__c", "externalIdValue": str(number)}
    return LEAD | {"bulkUpsertExternalId": told} | more
