"""Contacts, which HubSpot knows by their e-mail."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field

from penstock.destinations.catalog.hubspot.properties import objects, own, segment, stripped
from penstock.destinations.contract import (
    Answer,
    BuiltRequest,
    Call,
    Failure,
    Json,
    Payload,
    Request,
    Steps,
)

__all__ = ["NAMES", "upsert"]

NAMES = (
    "company",
    "firstname",
    "lastname",
    "phone",
    "address",
    "city",
    "state",
    "country",
    "zip",
    "email",
    "website",
    "lifecyclestage",
)
_CONTACTS = objects("contacts")
_STAGE = "lifecyclestage"


def upsert(call: Call) -> Steps:
    """Update the contact; where HubSpot has none, create it."""
    if call.batched or len(call.payloads) > 1:
        return (yield from _upsert_all(call))
    payload = call.payload
    told = _properties(payload)
    place = f"{_CONTACTS}/{segment(payload['email'])}?idProperty=email"
    answer = yield Request("PATCH", place, json={"properties": told}, accept=(404,))
    if answer.status == 404:
        yield Request("POST", _CONTACTS, json={"properties": told})
    elif payload.get(_STAGE) and _stage(answer.json()) != payload[_STAGE].lower():
        yield Request("PATCH", place, json={"properties": {_STAGE: ""}})
        yield Request("PATCH", place, json={"properties": told})
    return None


@dataclass
class _Contact:
    """What is told of one e-mail address, and by which payloads."""

    properties: dict[str, Json]
    items: list[int] = field(default_factory=list)
    id: str = ""
    missing: bool = False


def _upsert_all(call: Call) -> Steps:
    """Ask which contacts there are, create the others, update these; the last word counts.

    Which stage HubSpot kept is seen in its answer: it only goes forwards unless it is emptied.
    """
    contacts: dict[str, _Contact] = {}
    for index, payload in enumerate(call.payloads):
        told = _properties(payload) | {"email": payload["email"].lower()}
        known = contacts.setdefault(payload["email"].lower(), _Contact(told))
        known.properties = told
        known.items.append(index)
    yield from _look_up(contacts)
    created = [contact for contact in contacts.values() if contact.missing]
    if created:
        inputs = [{"properties": contact.properties} for contact in created]
        yield _batch("create", inputs, created)
    updated = [contact for contact in contacts.values() if contact.id]
    if updated:
        yield from _update(updated)
    left = [contact for contact in contacts.values() if not contact.missing and not contact.id]
    unclear = Failure(500, "HubSpot did not say whether it has this contact", "RETRY")
    return {index: unclear for contact in left for index in contact.items}


def _look_up(contacts: Mapping[str, _Contact]) -> Generator[BuiltRequest, Answer, None]:
    asked = {
        "properties": ["email", _STAGE, "hs_additional_emails"],
        "idProperty": "email",
        "inputs": [{"id": email} for email in contacts],
    }
    body = (yield Request("POST", f"{_CONTACTS}/batch/read", json=asked)).json()
    found = body if isinstance(body, dict) else {}
    for result in found.get("results") or ():
        properties = result.get("properties") or {}
        others = (properties.get("hs_additional_emails") or "").split(";")
        for email in (properties.get("email"), *others):
            if email in contacts:
                contacts[email].id = str(result["id"])
                break
    for error in found.get("errors") or ():
        if error.get("category") == "OBJECT_NOT_FOUND":
            for email in (error.get("context") or {}).get("ids") or ():
                if email in contacts:
                    contacts[email].missing = True


def _update(contacts: Sequence[_Contact]) -> Generator[BuiltRequest, Answer, None]:
    inputs = [
        {
            "id": contact.id,
            "properties": {k: v for k, v in contact.properties.items() if k != "email"},
        }
        for contact in contacts
    ]
    body = (yield _batch("update", inputs, contacts)).json()
    results = body.get("results") if isinstance(body, dict) else None
    kept = {str(result["id"]): _stage(result) for result in results or ()}
    behind = [
        contact
        for contact in contacts
        if contact.properties.get(_STAGE)
        and kept.get(contact.id, contact.properties[_STAGE]) != contact.properties[_STAGE]
    ]
    if behind:
        yield _batch("update", [_staged(contact, "") for contact in behind], behind)
        again = [_staged(contact, contact.properties[_STAGE]) for contact in behind]
        yield _batch("update", again, behind)


def _staged(contact: _Contact, stage: Json) -> Json:
    return {"id": contact.id, "properties": {_STAGE: stage}}


def _batch(what: str, inputs: Json, contacts: Sequence[_Contact]) -> Request:
    items = tuple(sorted(index for contact in contacts for index in contact.items))
    return Request("POST", f"{_CONTACTS}/batch/{what}", json={"inputs": inputs}, items=items)


def _properties(payload: Payload) -> dict[str, Json]:
    told = stripped(payload, NAMES)
    if _STAGE in told:
        told[_STAGE] = told[_STAGE].lower()
    return told | own(payload.get("properties"))


def _stage(contact: Json) -> Json:
    properties = contact.get("properties") if isinstance(contact, dict) else None
    return properties.get(_STAGE) if isinstance(properties, dict) else None
