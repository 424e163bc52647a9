"""What is told Zendesk of a user, an organization and an event."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager

from penstock.destinations.catalog.common.addresses import is_mail_address, mail_address
from penstock.destinations.catalog.common.hashing import strip
from penstock.destinations.catalog.common.times import moment
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
    Settings,
    Steps,
)

__all__ = ["root", "track_event", "upsert_organization", "upsert_user"]

_Ask = Generator[BuiltRequest, Answer, str | None]
_USER = ("external_id", "phone", "time_zone", "locale", "details", "notes", "tags")
_ORGANIZATION = ("name", "external_id", "domain_names", "details", "notes", "tags")
_LABEL = 40
_RESERVED = "zendesk"


def root(settings: Settings) -> str:
    """The address of the account's API."""
    return f"https://{settings['domain']}.zendesk.com/api/v2"


def upsert_user(call: Call) -> Steps:
    """Create the user, or update the one with this e-mail or external id."""
    given = call.payload
    name = given.get("name") or _full_name(given)
    if not name:
        raise InvalidPayload("a user needs a name: map name, or first_name and last_name")
    user = {"name": name} | {key: given[key] for key in _USER if key in given}
    if "email" in given:
        user["email"] = mail_address(given["email"])
    if not user.keys() & {"email", "external_id"}:
        raise InvalidPayload("a user needs an e-mail or an external id")
    if own := _scalars(given.get("user_fields")):
        user["user_fields"] = own
    if "organization" in given:
        user["organization"] = {"name": given["organization"]}
    with _conflicts_retried():
        yield _user_request(call, user)
    return None


def upsert_organization(call: Call) -> Steps:
    """Create or update the organization; then its member, where Zendesk knows the user."""
    given = call.payload
    told = {key: given[key] for key in _ORGANIZATION if key in given}
    if own := _scalars(given.get("organization_fields")):
        told["organization_fields"] = own
    place = f"{root(call.settings)}/organizations/create_or_update.json"
    with _conflicts_retried():
        answer = yield Request("POST", place, json={"organization": told})
        organization = _id(answer, "organization")
        user = yield from _member(call)
        if user is not None and organization is not None:
            yield from _join(call, user, organization)
    return None


def track_event(call: Call) -> Steps:
    """An event in the timeline of a user, whom Zendesk finds or makes by the identifiers."""
    given, source = call.payload, call.settings.get("source") or "penstock"
    if source.lower() == _RESERVED:
        raise InvalidPayload("the source of events must not be called zendesk")
    identifiers = [
        {"type": kind, "value": strip(given[kind])}
        for kind in ("external_id", "email")
        if given.get(kind) and (kind != "email" or is_mail_address(given[kind]))
    ]
    if not identifiers:
        raise InvalidPayload("an event needs a user: an external id or an e-mail")
    event: dict[str, Json] = {
        "source": source,
        "type": given["name"][:_LABEL],
        "description": given["name"],
        "properties": given.get("properties", {}),
    }
    if (when := moment(given.get("created_at"))) is not None:
        event["created_at"] = f"{when:%Y-%m-%dT%H:%M:%SZ}"
    profile: dict[str, Json] = {
        "source": source,
        "type": given.get("profile_type") or "customer",
        "identifiers": identifiers,
    }
    body = {"event": event, "profile": profile}
    yield Request("POST", f"{root(call.settings)}/user_profiles/events", json=body)
    return None


def _user_request(call: Call, user: dict[str, Json]) -> Request:
    """Zendesk writes to new users unless it is told not to."""
    if call.settings.get("verified"):
        user["verified"] = True
    elif not call.settings.get("send_verification"):
        user["skip_verify_email"] = True
    place = f"{root(call.settings)}/users/create_or_update.json"
    return Request("POST", place, json={"user": user})


def _member(call: Call) -> _Ask:
    """Zendesk's id of the user of the event; made there when the event tells the name."""
    given = call.payload
    external = given.get("user_external_id")
    if not external:
        return None
    if name := given.get("user_name"):
        user = {"name": name, "external_id": external}
        if is_mail_address(given.get("user_email", "")):
            user["email"] = strip(given["user_email"])
        answer = yield _user_request(call, user)
        return _id(answer, "user")
    place = f"{root(call.settings)}/users/search.json"
    found = _object((yield Request("GET", place, query={"external_id": external}))).get("users")
    return str(found[0]["id"]) if found else None


def _join(call: Call, user: str, organization: str) -> Generator[BuiltRequest, Answer, None]:
    """A second membership of the same kind would be refused."""
    place = f"{root(call.settings)}/users/{user}/organization_memberships.json"
    known = _object((yield Request("GET", place))).get("organization_memberships") or ()
    if any(str(each.get("organization_id")) == organization for each in known):
        return
    membership = {"user_id": int(user), "organization_id": int(organization)}
    place = f"{root(call.settings)}/organization_memberships.json"
    yield Request("POST", place, json={"organization_membership": membership})


@contextmanager
def _conflicts_retried() -> Iterator[None]:
    try:
        yield
    except Refused as error:
        if error.status != 409:
            raise
        raise RetryLater("Zendesk is changing the same record already", 409) from error


def _full_name(given: Payload) -> str:
    parts = (given.get("first_name", ""), given.get("last_name", ""))
    return " ".join(part for part in parts if part)


def _scalars(values: Json) -> dict[str, Json]:
    """Fields of Zendesk hold no lists or objects."""
    given = values if isinstance(values, dict) else {}
    return {key: value for key, value in given.items() if not isinstance(value, list | dict)}


def _id(answer: Answer, key: str) -> str | None:
    made = _object(answer).get(key)
    return str(made["id"]) if isinstance(made, dict) and "id" in made else None


def _object(answer: Answer) -> dict[str, Json]:
    body = answer.json()
    return body if isinstance(body, dict) else {}
