"""Deals, tickets and records of objects of one's own; events."""

from __future__ import annotations

import re

from penstock.destinations.catalog.hubspot.properties import (
    ROOT,
    objects,
    own,
    search,
    sole,
)
from penstock.destinations.contract import (
    Call,
    InvalidPayload,
    Json,
    Refused,
    Request,
    Skipped,
    Steps,
)

__all__ = ["send_event", "upsert"]

_NAMED = re.compile(r"(?a)pe\d+_.*")
_GAPS = re.compile(r"[\s.\ufeff]+")


def send_event(call: Call) -> Steps:
    """An event that is defined in HubSpot, of a contact."""
    payload = call.payload
    name = _GAPS.sub("_", payload["eventName"]).lower()
    hub = call.settings.get("portalId") or ""
    if not (name.startswith(f"pe{hub}_") if hub else _NAMED.match(name)):
        raise InvalidPayload(f"eventName: {name!r} does not begin with pe{hub or '<hub id>'}_")
    if not any(payload.get(key) for key in ("utk", "email", "objectId")):
        raise InvalidPayload("an event needs one of email, utk and objectId")
    told = {key: value for key, value in payload.items() if value is not None}
    told["eventName"] = name
    if "properties" in told:
        told["properties"] = own(told["properties"])
    yield Request("POST", f"{ROOT}/events/v3/send", json=told)
    return None


def upsert(call: Call) -> Steps:
    """Update the record that the search fields find, or create one; associate it with another."""
    payload = call.payload
    kind = payload["objectType"]
    total, known = 0, ""
    if wanted := payload.get("customObjectSearchFields"):
        total, known = yield from search(kind, wanted)
    label = _label(payload.get("associationLabel"))
    other_kind, others, other = payload.get("toObjectType"), 0, ""
    wanted_other = payload.get("searchFieldsToAssociateCustomObjects")
    if other_kind and label and wanted_other:
        others, other = yield from search(other_kind, wanted_other)
    told = own(payload["properties"])
    if sole(total, "customObjectSearchFields"):
        yield Request("PATCH", f"{objects(kind)}/{known}", json={"properties": told})
        if others == 1 and label:
            place = f"{ROOT}/crm/v4/objects/{kind}/{known}/associations/{other_kind}/{other}"
            yield Request("PUT", place, json=[label])
    elif not payload.get("createNewCustomRecord", True):
        raise Skipped("HubSpot has no such record, and none is to be created")
    else:
        link = [{"to": {"id": other}, "types": [label]}] if others == 1 else []
        new = {"properties": told, "associations": link}
        yield Request("POST", objects(kind), json=new)
    if others > 1:
        raise Refused(
            400,
            "searchFieldsToAssociateCustomObjects: several records have these; the record was "
            "written, but not associated",
            "NOT_UNIQUE",
        )
    return None


def _label(text: str | None) -> Json:
    """How records are associated, of a text such as ``HUBSPOT_DEFINED:5``."""
    category, _, number = (text or "").partition(":")
    if not number.isdecimal():
        return None
    return {"associationCategory": category, "associationTypeId": int(number)}
