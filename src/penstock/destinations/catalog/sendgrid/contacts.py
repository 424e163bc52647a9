"""Contacts of SendGrid's marketing campaigns."""

from __future__ import annotations

import json
from collections.abc import Mapping

from penstock.destinations.catalog.common.items import made_of_each
from penstock.destinations.catalog.sendgrid.regions import root
from penstock.destinations.contract import (
    Answer,
    Call,
    InvalidPayload,
    Json,
    Payload,
    Request,
    Steps,
)

__all__ = ["upsert_contacts"]

_RENAMED = {"state": "state_province_region", "primary_email": "email"}
_IDENTIFIERS = ("primary_email", "phone_number_id", "external_id", "anonymous_id")
_APART = ("customFields", *_RENAMED)


def upsert_contacts(call: Call) -> Steps:
    """Ask for the account's own fields, then send the contacts together."""
    place = f"{root(call.settings)}/v3/marketing"
    answer = yield Request("GET", f"{place}/field_definitions")
    fields = _ids(answer)
    made, failures = made_of_each(call, lambda payload: _contact(payload, fields))
    if made:
        body = {"contacts": list(made.values())}
        yield Request("PUT", f"{place}/contacts", json=body, items=tuple(made))
    return failures


def _ids(answer: Answer) -> dict[str, str]:
    """Id of each own field by its id, and by its name in small letters; ids count first."""
    body = answer.json()
    fields = (body.get("custom_fields") if isinstance(body, dict) else None) or []
    by_name: dict[str, str] = {}
    for field in fields:
        by_name.setdefault(field["name"].lower(), field["id"])
    return by_name | {field["id"]: field["id"] for field in fields}


def _contact(payload: Payload, fields: Mapping[str, str]) -> dict[str, Json]:
    if not any(payload.get(key) for key in _IDENTIFIERS):
        raise InvalidPayload(f"a contact needs one of {', '.join(_IDENTIFIERS)}")
    made = {key: value for key, value in payload.items() if key not in _APART}
    made |= {new: payload[old] for old, new in _RENAMED.items() if old in payload}
    own = payload.get("customFields") or {}
    made["custom_fields"] = {_id(key, fields): _value(value) for key, value in own.items()}
    return made


def _id(key: str, fields: Mapping[str, str]) -> str:
    found = fields.get(key) or fields.get(key.lower())
    if found is None:
        raise InvalidPayload(
            f"SendGrid has no field {key!r}; create it below Marketing, Custom Fields, first"
        )
    return found


def _value(value: Json) -> Json:
    """SendGrid takes texts and numbers; all else goes as JSON."""
    if value is None or isinstance(value, bool | list | dict):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return value
