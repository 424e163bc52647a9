"""Events in TikTok's words, and what its answers mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import parse_qsl, urlsplit

from penstock.destinations.catalog.common.halving import Sending, sent_in_halves
from penstock.destinations.catalog.common.hashing import city_letters, compact, hashed
from penstock.destinations.catalog.common.items import made_of_each
from penstock.destinations.catalog.common.times import instant
from penstock.destinations.catalog.tiktok_conversions.fields import PLAIN, TRAVEL, VEHICLE
from penstock.destinations.contract import (
    Answer,
    Call,
    InvalidPayload,
    Json,
    Payload,
    Refused,
    Request,
    Steps,
)

__all__ = ["URL", "send"]

URL = "https://business-api.tiktok.com/open_api/v1.3/event/track/"
_ITEM = ("price", "quantity", "content_category", "content_id", "content_name", "brand")
_DIGITS = re.compile("[^0-9]")
_LONGEST_PHONE = 15
_RANGE = ("preferred_price_range_min", "preferred_price_range_max")
_MILEAGE = ("mileage_unit", "mileage_value")


def send(call: Call) -> Steps:
    """All events that are as they should be in one request."""
    made, failures = made_of_each(call, lambda payload: _event(payload, call))
    if not made:
        return failures
    shared = _shared(call)

    def together(indices: tuple[int, ...]) -> Sending:
        body = {**shared, "data": [made[index] for index in indices]}
        answer = yield Request("POST", URL, json=body, items=indices)
        _check(answer)

    failures.update((yield from sent_in_halves(tuple(made), together)))
    return failures


def _shared(call: Call) -> dict[str, Json]:
    """What is said once for all events; equal in all payloads of a batch."""
    shared = {
        "event_source": call.payload.get("event_source") or "web",
        "event_source_id": call.settings["pixelCode"],
        "partner_name": call.settings.get("partnerName") or "Penstock",
    }
    if code := call.payload.get("test_event_code") or call.settings.get("testEventCode"):
        shared["test_event_code"] = code
    return shared


def _event(payload: Payload, call: Call) -> dict[str, Json]:
    made: dict[str, Json] = {
        "event": payload["event"],
        "event_time": _time(payload, call),
        "user": _user(payload),
        "properties": _properties(payload),
        "limited_data_use": payload.get("limited_data_use") is True,
    }
    if payload.get("event_id"):
        made["event_id"] = payload["event_id"]
    if page := {key: payload[key] for key in ("url", "referrer") if payload.get(key)}:
        made["page"] = page
    lead = payload.get("lead_fields") or {}
    if payload.get("event_source") == "crm" and "lead_id" in lead:
        made["lead"] = {
            key: lead[key]
            for key in ("lead_id", "lead_event_source")
            if key == "lead_id" or lead.get(key)
        }
    return made


def _time(payload: Payload, call: Call) -> int:
    text = str(payload.get("timestamp") or "")
    when = instant(text) if text else call.now
    if when is None:
        raise InvalidPayload(f"timestamp is no time, such as 2024-05-03T10:20:00Z: {text[:40]}")
    return int(when.timestamp() // 1)


def _user(payload: Payload) -> dict[str, Json]:
    address = payload.get("address") or {}
    user: dict[str, Json] = {
        "external_id": _each(payload.get("external_id"), str.lower),
        "phone": _each(payload.get("phone_number"), _phone),
        "email": _each(payload.get("email"), str.lower),
        "first_name": hashed(payload.get("first_name") or "", compact),
        "last_name": hashed(payload.get("last_name") or "", compact),
        "zip_code": hashed(address.get("zip_code") or "", compact),
        **{part: city_letters(address.get(part) or "") for part in ("city", "state", "country")},
    }
    if click := _click(payload):
        user["ttclid"] = click
    known = ("ttp", "ip", "user_agent", "locale")
    return user | {key: payload[key] for key in known if payload.get(key)}


def _each(texts: Sequence[str] | None, write: Callable[[str], str]) -> list[str]:
    return [made for text in texts or () if (made := hashed(text, write))]


def _phone(text: str) -> str:
    return f"+{_DIGITS.sub('', text)}"[:_LONGEST_PHONE]


def _click(payload: Payload) -> str | None:
    """The click id of the address comes before one that was kept."""
    try:
        found = dict(reversed(parse_qsl(urlsplit(payload.get("url") or "").query)))
    except ValueError:
        found = {}
    return found.get("ttclid") or payload.get("ttclid")


def _properties(payload: Payload) -> dict[str, Json]:
    made: dict[str, Json] = {
        "contents": [
            {key: item[key] for key in _ITEM if item.get(key) is not None}
            for item in payload.get("contents") or ()
        ]
    }
    made |= {key: payload[key] for key in PLAIN if key in payload}
    if payload.get("event_source", "web") != "web":
        return made
    spec = payload.get("event_spec_type")
    given = payload.get(str(spec)) or {}
    if spec == "travel_fields":
        made |= {key: given[key] for key in TRAVEL if key in given}
    elif spec == "vehicle_fields":
        made |= _vehicle(given)
    return made


def _vehicle(given: Mapping[str, Json]) -> dict[str, Json]:
    made = {key: given[key] for key in VEHICLE if key in given and key not in (*_RANGE, *_MILEAGE)}
    if all(key in given for key in _MILEAGE):
        made["mileage"] = {"unit": given["mileage_unit"], "value": given["mileage_value"]}
    if all(key in given for key in _RANGE):
        made["preferred_price_range"] = [given[key] for key in _RANGE]
    return made


def _check(answer: Answer) -> None:
    """TikTok answers 200 to a request that it refuses; the body's code tells."""
    body = answer.json()
    if not isinstance(body, dict) or not (code := body.get("code")):
        return
    message = f"TikTok refused it ({code}): {body.get('message', '')}"
    raise Refused(_status(int(code)), message, str(code), answer)


def _status(code: int) -> int:
    if code in (40100, 40133):
        return 429
    if code >= 50000:
        return 500
    return 401 if 40101 <= code <= 40118 else 400
