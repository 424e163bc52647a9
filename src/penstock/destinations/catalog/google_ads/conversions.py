"""Conversions and adjustments in Google's words."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from penstock.destinations.catalog.common.fields import renamed
from penstock.destinations.catalog.common.times import instant
from penstock.destinations.catalog.google_ads.people import address, reached
from penstock.destinations.catalog.google_ads.uploads import customer, upload
from penstock.destinations.contract import Call, InvalidPayload, Json, Payload, Steps

__all__ = ["send_adjustments", "send_calls", "send_clicks"]

_WRITTEN = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_WORTH = {"conversionValue": "value", "currencyCode": "currency"}
_CLICK = {
    "gclid": "gclid",
    "gbraid": "gbraid",
    "wbraid": "wbraid",
    "orderId": "order_id",
    "conversionEnvironment": "conversion_environment",
    **_WORTH,
}
_CART = {
    "merchantId": "merchant_id",
    "feedCountryCode": "merchant_country_code",
    "feedLanguageCode": "merchant_language_code",
    "localTransactionCost": "local_cost",
}
_ITEM = {"productId": "product_id", "quantity": "quantity", "unitPrice": "price"}
_CONSENT = {
    "adUserData": "ad_user_data_consent_state",
    "adPersonalization": "ad_personalization_consent_state",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_START = "session_start_time_usec"


def send_clicks(call: Call) -> Steps:
    """Conversions after a click."""
    return upload(call, "uploadClickConversions", "conversions", _click)


def send_calls(call: Call) -> Steps:
    """Conversions after a call."""
    return upload(call, "uploadCallConversions", "conversions", _phoned)


def send_adjustments(call: Call) -> Steps:
    """Changes of conversions that Google has already."""
    return upload(
        call, "uploadConversionAdjustments", "conversionAdjustments", _adjusted, variables=False
    )


def _click(payload: Payload, call: Call) -> dict[str, Json]:
    made = _conversion(payload, call) | renamed(payload, _CLICK)
    if payload.get("user_ip_address"):
        made["userIpAddress"] = payload["user_ip_address"]
    if payload.get("session_attributes_encoded"):
        made["sessionAttributesEncoded"] = payload["session_attributes_encoded"]
    elif pairs := _visit(payload.get("session_attributes_key_value_pairs") or {}):
        made["sessionAttributesKeyValuePairs"] = {"keyValuePairs": pairs}
    items = [renamed(item, _ITEM) for item in payload.get("items") or ()]
    made["cartData"] = {**renamed(payload, _CART), "items": items}
    made["userIdentifiers"] = reached(payload)
    return made


def _phoned(payload: Payload, call: Call) -> dict[str, Json]:
    return {
        **_conversion(payload, call),
        **renamed(payload, _WORTH),
        "callerId": payload["caller_id"],
        "callStartDateTime": _time(payload, "call_timestamp"),
    }


def _adjusted(payload: Payload, call: Call) -> dict[str, Json]:
    payload.setdefault("adjustment_timestamp", call.now.isoformat())
    pair = renamed(payload, {"gclid": "gclid"})
    if payload.get("conversion_timestamp"):
        pair["conversionDateTime"] = _time(payload, "conversion_timestamp")
    made: dict[str, Json] = {
        "conversionAction": _action(payload, call),
        "adjustmentType": payload["adjustment_type"],
        "adjustmentDateTime": _time(payload, "adjustment_timestamp"),
        "gclidDateTimePair": pair,
        "userIdentifiers": reached(payload) + address(payload),
        **renamed(payload, {"orderId": "order_id", "userAgent": "user_agent"}),
    }
    if payload["adjustment_type"] != "RETRACTION":
        made["restatementValue"] = renamed(
            payload,
            {"adjustedValue": "restatement_value", "currencyCode": "restatement_currency_code"},
        )
    return made


def _conversion(payload: Payload, call: Call) -> dict[str, Json]:
    """What clicks and calls have in common."""
    made: dict[str, Json] = {
        "conversionAction": _action(payload, call),
        "conversionDateTime": _time(payload, "conversion_timestamp"),
    }
    if consent := renamed(payload, _CONSENT):
        made["consent"] = consent
    return made


def _action(payload: Payload, call: Call) -> str:
    return f"customers/{customer(call)}/conversionActions/{payload['conversion_action']}"


def _visit(given: Payload) -> list[dict[str, Json]]:
    told = dict(given)
    start = instant(str(told.pop(_START, "")))
    if start is not None:
        told[_START] = str((start - _EPOCH) // timedelta(microseconds=1))
    order = (
        "gad_source",
        "gad_campaignid",
        "landing_page_url",
        _START,
        "landing_page_referrer",
        "landing_page_user_agent",
    )
    return [
        {"sessionAttributeKey": key, "sessionAttributeValue": told[key]}
        for key in order
        if told.get(key)
    ]


def _time(payload: Payload, field: str) -> str:
    """As Google writes it: ``2024-05-03 10:20:00+00:00``."""
    found = _WRITTEN.fullmatch(str(payload[field]).strip())
    if found is None:
        raise InvalidPayload(
            f"{field} is no time with its zone, such as 2024-05-03T10:20:00Z: "
            f"{str(payload[field])[:40]}"
        )
    day, time, zone = found.groups()
    return f"{day} {time}{'+00:00' if zone == 'Z' else zone}"
