"""Facebook's Graph API as far as our tools use it, refusing what its documentation refuses.

Sources: developers.facebook.com/docs/marketing-api/
conversions-api/parameters/server-event, conversions-api/parameters/customer-information-parameters,
conversions-api/parameters/custom-data, conversions-api/using-the-api (1,000 events, one bad event
refuses all, event_time), conversions-api/offline-events (physical_store, 62 days),
audiences/guides/custom-audiences (schema, hashing, 10,000 rows), and EventRequest of
github.com/facebook/facebook-python-business-sdk (upload_tag, test_event_code).
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

from penstock.destinations.contract import Answer, Request
from tests.destinations.fakes.strict import (
    NOW,
    Json,
    Wrong,
    anything,
    integer,
    list_of,
    nonempty,
    number,
    object_of,
    one_of,
    sha256,
    text,
)

__all__ = ["TOKEN", "audience_users", "events"]

TOKEN = "EAAB-token"

_PLACES = (
    "website",
    "app",
    "email",
    "phone_call",
    "chat",
    "physical_store",
    "system_generated",
    "business_messaging",
    "other",
)
_USER = object_of(
    {
        **dict.fromkeys(("em", "ph", "ge", "db", "ln", "fn", "ct", "st", "zp", "country"), sha256),
        "external_id": list_of(sha256),
        **dict.fromkeys(
            (
                "client_ip_address",
                "client_user_agent",
                "fbc",
                "fbp",
                "subscription_id",
                "anon_id",
                "madid",
                "partner_id",
                "partner_name",
                "ctwa_clid",
            ),
            nonempty,
        ),
        **dict.fromkeys(("lead_id", "fb_login_id"), integer),
    }
)
_CONTENT = object_of(
    {
        "id": nonempty,
        "quantity": integer,
        "item_price": number,
        "delivery_category": one_of("in_store", "curbside", "home_delivery"),
    },
    required=("id",),
)
_STANDARD = {
    "value": number,
    "net_revenue": number,
    "num_items": integer,
    "content_ids": list_of(nonempty, least=0),
    "contents": list_of(_CONTENT, least=0),
    **dict.fromkeys(
        (
            "order_id",
            "content_name",
            "content_type",
            "content_category",
            "search_string",
        ),
        nonempty,
    ),
}


def _currency(value: Json, place: str) -> None:
    if not isinstance(value, str) or re.fullmatch("[A-Za-z]{3}", value) is None:
        raise Wrong(f"{place} is no currency: {value!r}")


def _custom(value: Json, place: str) -> None:
    """Standard keys have their types; own properties may stand beside them."""
    if not isinstance(value, dict):
        raise Wrong(f"{place} is no object")
    for key, inner in value.items():
        check = _currency if key == "currency" else _STANDARD.get(key, anything)
        check(inner, f"{place}.{key}")


_APP = object_of(
    {
        "advertiser_tracking_enabled": one_of(0, 1),
        "application_tracking_enabled": one_of(0, 1),
        "madid": nonempty,
        "extinfo": list_of(text, 16),
    },
    required=("advertiser_tracking_enabled", "application_tracking_enabled", "extinfo"),
)
_EVENT = object_of(
    {
        "event_name": nonempty,
        "event_time": integer,
        "action_source": one_of(*_PLACES),
        "event_source_url": nonempty,
        "event_id": nonempty,
        "user_data": _USER,
        "custom_data": _custom,
        "app_data": _APP,
        "data_processing_options": list_of(one_of("LDU")),
        "data_processing_options_country": one_of(0, 1),
        "data_processing_options_state": integer,
    },
    required=("event_name", "event_time", "action_source", "user_data"),
)
_BODY = object_of(
    {"data": list_of(_EVENT, 1000), "test_event_code": nonempty, "upload_tag": nonempty},
    required=("data",),
)


def events(request: Request) -> Answer:
    """POST /<dataset>/events."""
    _allowed(request, ("POST",), r"https://graph\.facebook\.com/v24\.0/[0-9]+/events")
    _BODY(request.json, "body")
    for index, event in enumerate(request.json["data"]):
        _check_event(event, f"body.data[{index}]")
    return _answer({"events_received": len(request.json["data"]), "messages": []})


def _check_event(event: dict[str, Json], place: str) -> None:
    user = event["user_data"]
    if not user:
        raise Wrong(f"{place}.user_data knows nobody")
    if event["action_source"] == "website" and "client_user_agent" not in user:
        raise Wrong(f"{place}.user_data.client_user_agent is missing")
    when = datetime.fromtimestamp(event["event_time"], UTC)
    oldest = timedelta(days=62 if event["action_source"] == "physical_store" else 7)
    if not NOW - oldest <= when <= NOW + timedelta(minutes=1):
        raise Wrong(f"{place}.event_time is too old, or to come: {when}")
    if event["event_name"] == "Purchase":
        for key in ("currency", "value"):
            if key not in event.get("custom_data", {}):
                raise Wrong(f"{place}.custom_data.{key} is missing")


_HASHED = (
    "EMAIL",
    "PHONE",
    "GEN",
    "DOBY",
    "DOBM",
    "DOBD",
    "LN",
    "FN",
    "FI",
    "ST",
    "CT",
    "ZIP",
    "COUNTRY",
)
_PLAIN = ("MADID", "EXTERN_ID")


def _rows(value: Json, place: str) -> None:
    list_of(list_of(text), 10_000)(value, place)


_USERS = object_of(
    {
        "payload": object_of(
            {
                "schema": list_of(one_of(*_HASHED, *_PLAIN)),
                "data": _rows,
                **dict.fromkeys(("app_ids", "page_ids", "ig_account_ids"), list_of(text)),
            },
            required=("schema", "data"),
        )
    },
    required=("payload",),
)


def audience_users(request: Request) -> Answer:
    """POST and DELETE /<audience>/users."""
    _allowed(request, ("POST", "DELETE"), r"https://graph\.facebook\.com/v24\.0/[0-9]+/users")
    _USERS(request.json, "body")
    told = request.json["payload"]
    for key in ("app_ids", "page_ids", "ig_account_ids"):
        if key in told and len(told[key]) != len(told["data"]):
            raise Wrong(f"body.payload.{key} is not as long as data")
    for index, row in enumerate(told["data"]):
        _check_row(told["schema"], row, f"body.payload.data[{index}]")
    received = {"audience_id": "1", "num_received": len(told["data"]), "num_invalid_entries": 0}
    return _answer(received)


def _check_row(schema: list[str], row: list[str], place: str) -> None:
    if len(row) != len(schema):
        raise Wrong(f"{place} has {len(row)} columns, the schema {len(schema)}")
    if not any(row):
        raise Wrong(f"{place} knows nobody")
    for column, value in zip(schema, row, strict=True):
        if value and column in _HASHED:
            sha256(value, f"{place}.{column}")
        if column == "MADID" and value != value.lower():
            raise Wrong(f"{place}.MADID is not in small letters")


def _allowed(request: Request, methods: tuple[str, ...], place: str) -> None:
    if request.headers.get("Authorization") != f"Bearer {TOKEN}":
        raise Wrong("the access token is missing or another", 401)
    if request.method not in methods or re.fullmatch(place, request.url) is None:
        raise Wrong(f"there is no {request.method} {request.url}", 404)
    if request.query:
        raise Wrong(f"the query is unknown: {request.query}")


def _answer(body: dict[str, Json]) -> Answer:
    return Answer(200, {"content-type": "application/json"}, json.dumps(body).encode())
