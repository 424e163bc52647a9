"""Companies, which HubSpot knows by a property that keeps our group id."""

from __future__ import annotations

from collections.abc import Generator

import msgspec

from penstock.destinations.catalog.hubspot.properties import (
    ROOT,
    identity,
    objects,
    own,
    search,
    segment,
    sole,
    stripped,
)
from penstock.destinations.contract import (
    Answer,
    BuiltRequest,
    Call,
    InvalidPayload,
    Json,
    Payload,
    Refused,
    Request,
    RetryLater,
    Skipped,
    Steps,
)

__all__ = ["upsert"]

_COMPANIES = objects("companies")
_KEY = "segment_group_id"
_NAMES = (
    "name",
    "description",
    "address",
    "city",
    "state",
    "zip",
    "domain",
    "phone",
    "numberofemployees",
    "industry",
    "lifecyclestage",
)
_PROPERTY = {
    "name": _KEY,
    "label": "Segment Group ID",
    "description": "Unique Property to map Segment Group ID with a HubSpot Company Object",
    "groupName": "companyinformation",
    "type": "string",
    "fieldType": "text",
    "hidden": True,
    "displayOrder": -1,
    "hasUniqueValue": True,
    "formField": False,
}
"""As other senders make it, so that all work on the same property."""

_Id = Generator[BuiltRequest, Answer, str]


def upsert(call: Call) -> Steps:
    """Update the company of that group id; else one that the search fields find; else create it."""
    payload = call.payload
    if (payload.get("properties") or {}).get(_KEY):
        raise InvalidPayload(f"properties.{_KEY}: is set from the field groupid")
    contact = ""
    if payload["associateContact"]:
        contact = yield from _contact(payload)
    told = _properties(payload)
    company = yield from _of_group(payload["groupid"], told)
    if not company:
        company = yield from _found_or_new(payload, told)
    if contact:
        place = f"{_COMPANIES}/{company}/associations/contacts/{contact}/company_to_contact"
        yield Request("PUT", place)
    return None


def _contact(payload: Payload) -> _Id:
    """HubSpot's id of the person who belongs to the company."""
    email = payload.get("contact_email")
    if not email:
        raise InvalidPayload("contact_email: needed to associate a contact with the company")
    place = f"{objects('contacts')}/{segment(email)}?idProperty=email"
    answer = yield Request("GET", place, accept=(404,))
    if answer.status == 404:
        raise RetryLater(f"HubSpot has no contact {email} yet", code="CONTACT_MISSING")
    return identity(answer)


def _of_group(group: str, told: dict[str, Json]) -> _Id:
    place = f"{_COMPANIES}/{segment(group)}?idProperty={_KEY}"
    try:
        answer = yield Request("PATCH", place, json={"properties": told}, accept=(404,))
    except Refused as refused:
        if not _lacks_key(refused):
            raise
        yield _key()
        raise RetryLater(f"the property {_KEY} was missing in HubSpot, and is made now") from None
    return "" if answer.status == 404 else identity(answer)


def _found_or_new(payload: Payload, told: dict[str, Json]) -> _Id:
    wanted = payload.get("companysearchfields")
    total, known = 0, ""
    if wanted:
        shown = ("name", "domain", "lifecyclestage", _KEY)
        total, known = yield from search("companies", wanted, shown, ("name",))
    if sole(total, "companysearchfields"):
        yield from _written(Request("PATCH", f"{_COMPANIES}/{known}", json={"properties": told}))
        return known
    if not payload["createNewCompany"]:
        raise Skipped("HubSpot has no such company, and none is to be created")
    new = {"properties": told, "associations": []}
    return (yield from _written(Request("POST", _COMPANIES, json=new)))


def _written(request: Request) -> _Id:
    """Send it; where the property of the group id is missing, make that and send it again."""
    try:
        return identity((yield request))
    except Refused as refused:
        if not _lacks_key(refused):
            raise
    yield _key(409)
    return identity((yield request))


def _key(*accept: int) -> Request:
    return Request("POST", f"{ROOT}/crm/v3/properties/companies", json=_PROPERTY, accept=accept)


def _lacks_key(refused: Refused) -> bool:
    """Whether the one thing that HubSpot finds wrong is that it lacks our property."""
    body = refused.answer.json() if refused.answer and refused.status == 400 else None
    message = body.get("message") if isinstance(body, dict) else None
    if not isinstance(message, str):
        return False
    try:
        errors = msgspec.json.decode(message.replace("Property values were not valid: ", "", 1))
    except msgspec.MsgspecError:
        return False
    return (
        isinstance(errors, list)
        and len(errors) == 1
        and (errors[0].get("name"), errors[0].get("error")) == (_KEY, "PROPERTY_DOESNT_EXIST")
    )


def _properties(payload: Payload) -> dict[str, Json]:
    told = stripped(payload, _NAMES)
    if "lifecyclestage" in told:
        told["lifecyclestage"] = told["lifecyclestage"].lower()
    return told | {_KEY: payload["groupid"]} | own(payload.get("properties"))
