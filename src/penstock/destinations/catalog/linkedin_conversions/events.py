"""Conversions in LinkedIn's words, alone or together."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from penstock.destinations.catalog.common.hashing import hashed
from penstock.destinations.catalog.common.items import made_of_each
from penstock.destinations.catalog.common.times import instant
from penstock.destinations.contract import (
    Answer,
    Call,
    Failure,
    InvalidPayload,
    Json,
    Payload,
    Request,
    Steps,
)

__all__ = ["REST", "send"]

REST = "https://api.linkedin.com/rest"
_EVENTS = f"{REST}/conversionEvents"
_OLDEST = timedelta(days=90)
_YEAR_2100 = 4_102_444_800_000
_IDS = {
    "LINKEDIN_FIRST_PARTY_ADS_TRACKING_UUID": "linkedInUUID",
    "AXCIOM_ID": "acxiomID",
    "ORACLE_MOAT_ID": "oracleID",
}
"""LinkedIn's name of an id (it does write Axciom) → our field."""


def send(call: Call) -> Steps:
    """One conversion, or all that are as they should be in one request."""
    made, failures = made_of_each(call, lambda payload: _conversion(payload, call))
    if len(call.payloads) == 1 and not call.batched:
        yield Request("POST", _EVENTS, json=made[0])
    elif made:
        answer = yield Request(
            "POST",
            _EVENTS,
            headers={"X-RestLi-Method": "BATCH_CREATE"},
            json={"elements": list(made.values())},
            items=tuple(made),
        )
        failures |= _refused(tuple(made), answer)
    return failures


def _conversion(payload: Payload, call: Call) -> dict[str, Json]:
    made: dict[str, Json] = {
        "conversion": f"urn:lla:llaPartnerConversion:{payload['conversion_rule_id']}",
        "conversionHappenedAt": _time(payload, call),
        "user": _user(payload),
    }
    return made | {key: payload[key] for key in ("conversionValue", "eventId") if key in payload}


def _time(payload: Payload, call: Call) -> int:
    text = str(payload["conversionHappenedAt"])
    if text.isascii() and text.isdigit() and int(text) <= _YEAR_2100:
        milliseconds = int(text)
    elif (when := instant(text)) is not None:
        milliseconds = round(when.timestamp() * 1000)
    else:
        raise InvalidPayload(
            "conversionHappenedAt is neither a time, such as 2024-05-03T10:20:00Z, nor "
            f"milliseconds since 1970: {text[:40]}"
        )
    if milliseconds < (call.now - _OLDEST).timestamp() * 1000:
        raise InvalidPayload("LinkedIn takes conversions of the past 90 days; this one is older")
    return milliseconds


def _user(payload: Payload) -> dict[str, Json]:
    ids = {"SHA256_EMAIL": hashed(payload.get("email") or "", str.lower)}
    ids |= {name: payload.get(field) or "" for name, field in _IDS.items()}
    known = [{"idType": name, "idValue": value} for name, value in ids.items() if value]
    if not known:
        raise InvalidPayload(
            "LinkedIn needs to know who it was: map email, linkedInUUID, acxiomID or oracleID"
        )
    user: dict[str, Json] = {"userIds": known}
    if "userInfo" in payload:
        user["userInfo"] = payload["userInfo"]
    if payload.get("externalIds"):
        user["externalIds"] = payload["externalIds"][:1]
    return user


def _refused(items: tuple[int, ...], answer: Answer) -> Mapping[int, Failure]:
    """LinkedIn tells what became of each, in the order in which they were sent."""
    body = answer.json()
    told = body.get("elements") if isinstance(body, dict) else None
    if not isinstance(told, list):
        return {}
    return {
        item: Failure(each["status"], f"LinkedIn refused it: {each.get('message') or each}")
        for item, each in zip(items, told, strict=False)
        if isinstance(each, dict) and each.get("status", 0) >= 400
    }
