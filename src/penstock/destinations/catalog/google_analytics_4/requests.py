"""Words events for the Measurement Protocol and refuses what it would drop in silence.

Source: https://developers.google.com/analytics/devguides/collection/protocol/ga4/reference
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Literal

from penstock.destinations.catalog.common.places import CURRENCIES
from penstock.destinations.catalog.common.times import instant
from penstock.destinations.contract import (
    Answer,
    Call,
    InvalidPayload,
    Json,
    Payload,
    Request,
    Settings,
    Steps,
)
from penstock.destinations.mappings.values import number_in

__all__ = ["Rule", "send", "send_custom"]

Rule = Literal["with value", "somewhere", "some item"]
"""Where a currency must be, and whether an empty list of items is refused."""

_HOSTS = {
    "global": "https://www.google-analytics.com",
    "eu": "https://region1.google-analytics.com",
}


def send(
    name: str, params: Sequence[str], rules: Sequence[Rule] = (), client: str = "client_id"
) -> Callable[[Call], Steps]:
    """Builds requests for the event of that name, with those fields as its parameters."""

    def build(call: Call) -> Steps:
        payload = call.payload
        _check_money(payload, rules)
        own = {key: payload[key] for key in params if key in payload}
        if "items" in params:
            own["items"] = _items(payload)
        return (yield from _collect(call, name, own, client))

    return build


def send_custom(call: Call) -> Steps:
    """An event of the user's own; white space in its name becomes an underscore."""
    name = re.sub(r"\s", "_", call.payload["name"].strip())
    if call.payload.get("lowercase"):
        name = name.lower()
    return (yield from _collect(call, name, {}, "clientId"))


def _collect(call: Call, name: str, own: dict[str, Json], client: str) -> Steps:
    payload = call.payload
    stream, who = _stream(call.settings, payload, client)
    further = payload.get("params") or {}
    _check_params(further)
    params = own | _picked(payload, "engagement_time_msec") | further
    body: dict[str, Json] = {
        **who,
        **_picked(payload, "user_id"),
        "events": [{"name": name, "params": params}],
        **_user_properties(payload),
        **_time(payload),
        **_consent(payload),
    }
    debug = call.settings.get("debug")
    path = "debug/mp/collect" if debug else "mp/collect"
    host = _HOSTS[call.settings["region"]]
    answer = yield Request("POST", f"{host}/{path}?{stream}", json=body)
    if debug:
        _check_debugged(answer)
    return None


def _stream(settings: Settings, payload: Payload, client: str) -> tuple[str, dict[str, Json]]:
    if payload.get("data_stream_type") == "Mobile App":
        app = settings.get("firebaseAppId")
        if not app:
            raise InvalidPayload("set firebaseAppId: a mobile app stream needs it")
        if not payload.get("app_instance_id"):
            raise InvalidPayload("map app_instance_id: a mobile app stream needs it")
        return f"firebase_app_id={app}", _picked(payload, "app_instance_id")
    measurement = settings.get("measurementId")
    if not measurement:
        raise InvalidPayload("set measurementId: a web stream needs it")
    if not payload.get(client):
        raise InvalidPayload("the event has neither userId nor anonymousId: no client id")
    return f"measurement_id={measurement}", {"client_id": payload[client]}


def _picked(payload: Payload, key: str) -> dict[str, Json]:
    return {key: payload[key]} if key in payload else {}


def _items(payload: Payload) -> list[Json]:
    items: list[Json] = payload.get("items") or []
    for item in items:
        if "item_id" not in item and "item_name" not in item:
            raise InvalidPayload("each product needs an id or a name")
        if item.get("currency"):
            _check_currency(item["currency"])
    return items


def _check_money(payload: Payload, rules: Sequence[Rule]) -> None:
    currency = payload.get("currency")
    if currency:
        _check_currency(currency)
    items = payload.get("items") or []
    if "some item" in rules and not items:
        raise InvalidPayload("Google asks for at least one product here")
    if "with value" in rules and payload.get("value") and currency is None:
        raise InvalidPayload("there is a value without currency: Google would drop it")
    if "somewhere" in rules and currency is None and not (items and items[0].get("currency")):
        raise InvalidPayload("neither the event nor its first product has a currency")


def _check_currency(currency: str) -> None:
    if currency.upper() not in CURRENCIES:
        raise InvalidPayload(f"{currency!r} is no currency of ISO 4217, such as EUR")


def _check_params(params: dict[str, Json]) -> None:
    for key, value in params.items():
        if isinstance(value, list) and key == "items":
            continue
        if value is None or isinstance(value, list | dict):
            raise InvalidPayload(f"params.{key} must be a text, number or boolean")


def _user_properties(payload: Payload) -> dict[str, Json]:
    properties = payload.get("user_properties")
    if properties is None:
        return {}
    for key, value in properties.items():
        if isinstance(value, list | dict):
            raise InvalidPayload(f"user_properties.{key} must be a text, number, boolean or null")
    return {"user_properties": {key: {"value": value} for key, value in properties.items()}}


def _time(payload: Payload) -> dict[str, Json]:
    told = payload.get("timestamp_micros")
    if not told:
        return {}
    number = number_in(told)
    if number is not None:
        return {"timestamp_micros": int(number)}
    when = instant(told)
    if when is None:
        raise InvalidPayload("timestamp_micros is neither a date nor microseconds since 1970")
    return {"timestamp_micros": round(when.timestamp() * 1000) * 1000}


def _consent(payload: Payload) -> dict[str, Json]:
    consent = {
        key: payload[field]
        for key, field in (
            ("ad_user_data", "ad_user_data_consent"),
            ("ad_personalization", "ad_personalization_consent"),
        )
        if payload.get(field)
    }
    return {"consent": consent} if consent else {}


def _check_debugged(answer: Answer) -> None:
    """The debug endpoint says what is wrong, but answers 200."""
    told = answer.json()
    messages = told.get("validationMessages") if isinstance(told, dict) else None
    if messages:
        raise InvalidPayload(f"Google: {messages[0].get('description', messages[0])}")
