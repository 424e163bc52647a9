"""What is asked of Intercom, and told it, for a contact, a company and an event."""

from __future__ import annotations

from collections.abc import Generator

from penstock.destinations.catalog.common.times import unix_seconds
from penstock.destinations.contract import (
    Answer,
    BuiltRequest,
    Call,
    Json,
    Payload,
    Refused,
    Request,
    RetryLater,
    Settings,
    Steps,
)

__all__ = ["identify_company", "identify_contact", "root", "track_event"]

_HOSTS = {"EU": "https://api.eu.intercom.io", "AU": "https://api.au.intercom.io"}


def root(settings: Settings) -> str:
    """The address of the region's API."""
    return _HOSTS.get(settings.get("region", ""), "https://api.intercom.io")


def identify_contact(call: Call) -> Steps:
    """Search, then update or create. A 409 means that search does not know the contact yet."""
    contact = call.payload
    for key in ("signed_up_at", "last_seen_at"):
        if key in contact:
            contact[key] = unix_seconds(contact[key])
    try:
        known = yield from _contact(call, contact)
        place = f"{root(call.settings)}/contacts"
        if known is None:
            yield Request("POST", place, json=contact)
        else:
            yield Request("PUT", f"{place}/{known}", json=contact)
    except Refused as error:
        if error.status != 409:
            raise
        raise RetryLater(
            "Intercom has this contact, but its search does not find it yet"
        ) from error
    return None


def identify_company(call: Call) -> Steps:
    """Create or update the company; then add the contact, if there is one."""
    given = call.payload
    contact = given.get("contact_id") or (yield from _contact(call, given))
    told = {
        key: value
        for key, value in given.items()
        if key not in ("email", "external_id", "contact_id")
    }
    answer = yield Request("POST", f"{root(call.settings)}/companies", json=told)
    if contact is not None:
        place = f"{root(call.settings)}/contacts/{contact}/companies"
        yield Request("POST", place, json={"id": _object(answer).get("id")})
    return None


def track_event(call: Call) -> Steps:
    """The event of a user; with nothing but an e-mail it may be a lead's, who is searched."""
    event = call.payload
    event["created_at"] = unix_seconds(event["created_at"])
    if event.get("email") and not event.get("user_id") and not event.get("id"):
        known = yield from _contact(call, {"email": event["email"]})
        if known is None:
            raise Refused(404, "Intercom has no contact, or several, with this e-mail", "NOT_FOUND")
        event["id"] = known
    yield Request("POST", f"{root(call.settings)}/events", json=_with_price(event))
    return None


def _with_price(event: Payload) -> dict[str, Json]:
    made = {key: value for key, value in event.items() if key not in ("revenue", "currency")}
    if "metadata" in event:
        moved = ("email", "revenue", "currency")
        made["metadata"] = {
            key: value for key, value in event["metadata"].items() if key not in moved
        }
    if (revenue := event.get("revenue")) is not None:
        price = {"amount": revenue * 100, "currency": event.get("currency") or "USD"}
        made.setdefault("metadata", {})["price"] = price
    return made


def _contact(call: Call, given: Payload) -> Generator[BuiltRequest, Answer, str | None]:
    """Intercom's id of the only contact with this id of ours or, without one, this e-mail."""
    field = "external_id" if given.get("external_id") else "email"
    if not given.get(field):
        return None
    query = {"field": field, "operator": "=", "value": given[field]}
    answer = yield Request("POST", f"{root(call.settings)}/contacts/search", json={"query": query})
    found = _object(answer)
    if found.get("total_count") != 1 or not found.get("data"):
        return None
    return str(found["data"][0]["id"])


def _object(answer: Answer) -> dict[str, Json]:
    body = answer.json()
    return body if isinstance(body, dict) else {}
