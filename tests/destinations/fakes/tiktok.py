"""TikTok's Events API, refusing what its documentation refuses.

Sources: business-api.tiktok.com/portal/docs?id=1771100865818625 (event/track: parameters, 1,000
events, hashing of external_id, phone and email), id=1771101303285761 (event_time, test_event_code,
user, page, properties, lead), id=1737172488964097 (codes in the body of an answer 200).
"""

from __future__ import annotations

import json

from penstock.destinations.contract import Answer, Request
from tests.destinations.fakes.strict import (
    NOW,
    Check,
    Json,
    Wrong,
    boolean,
    integer,
    list_of,
    nonempty,
    number,
    object_of,
    one_of,
    sha256,
    text,
)

__all__ = ["TOKEN", "event_track"]

TOKEN = "tiktok-token"


def _hashes(value: Json, place: str) -> None:
    if value != []:
        list_of(sha256)(value, place)


def _hash_or_nothing(value: Json, place: str) -> None:
    if value != "":
        sha256(value, place)


def _letters(value: Json, place: str) -> None:
    text(value, place)
    if value and not (value.isalnum() and value == value.lower()):
        raise Wrong(f"{place} is not in small letters without spaces: {value!r}")


def _contents(value: Json, place: str) -> None:
    if value != []:
        list_of(_CONTENT)(value, place)


def _time(value: Json, place: str) -> None:
    integer(value, place)
    if isinstance(value, float) or not 0 < value <= NOW.timestamp() + 600:
        raise Wrong(f"{place} is no time in seconds since 1970, or to come: {value!r}")


_CONTENT = object_of(
    {
        "price": number,
        "quantity": number,
        **dict.fromkeys(("content_id", "content_category", "content_name", "brand"), text),
    }
)
_USER: dict[str, Check] = {
    **dict.fromkeys(("external_id", "phone", "email"), _hashes),
    **dict.fromkeys(("first_name", "last_name", "zip_code"), _hash_or_nothing),
    **dict.fromkeys(("city", "state", "country"), _letters),
    **dict.fromkeys(("ttclid", "ttp", "ip", "user_agent", "locale"), nonempty),
}
_TEXTS = (
    "currency",
    "query",
    "description",
    "order_id",
    "shop_id",
    "search_string",
    "region",
    "checkin_date",
    "checkout_date",
    "departing_departure_date",
    "returning_departure_date",
    "origin_airport",
    "destination_airport",
    "departing_arrival_date",
    "returning_arrival_date",
    "travel_start",
    "travel_end",
    "city",
    "country",
    "postal_code",
    "make",
    "model",
    "exterior_color",
    "trim",
    "vin",
    "interior_color",
    "viewcontent_type",
    "search_type",
    "registration_type",
)
_NUMBERS = (
    "value",
    "num_items",
    "predicted_ltv",
    "num_adults",
    "num_children",
    "num_infants",
    "user_score",
    "preferred_num_stops",
    "year",
)
_LISTS = ("content_ids", "suggested_hotels", "destination_ids", "suggested_destinations")
_BODIES = (
    "Convertible",
    "Coupe",
    "Hatchback",
    "Minivan",
    "Truck",
    "SUV",
    "Sedan",
    "Van",
    "Wagon",
    "Crossover",
    "Other",
)
_PROPERTIES = object_of(
    {
        "contents": _contents,
        "content_type": one_of("product", "product_group"),
        "delivery_category": one_of("in_store", "curbside", "home_delivery"),
        "travel_class": one_of("eco", "prem", "bus", "first"),
        "state_of_vehicle": one_of("New", "Used", "CPO"),
        "condition_of_vehicle": one_of("Excellent", "Good", "Fair", "Poor", "Other"),
        "transmission": one_of("Automatic", "Manual", "Other"),
        "body_style": one_of(*_BODIES),
        "fuel_type": one_of("Diesel", "Electric", "Flex", "Gasoline", "Hybrid", "Other"),
        "drivetrain": one_of("AWD", "FOUR_WD", "FWD", "RWD", "TWO_WD", "Other"),
        "mileage": object_of({"unit": one_of("MI", "KM"), "value": number}, ("unit", "value")),
        "preferred_price_range": list_of(number, 2),
        **dict.fromkeys(_TEXTS, text),
        **dict.fromkeys(_NUMBERS, number),
        **dict.fromkeys(_LISTS, list_of(text)),
    }
)
_EVENT = object_of(
    {
        "event": nonempty,
        "event_time": _time,
        "event_id": nonempty,
        "user": object_of(_USER),
        "properties": _PROPERTIES,
        "page": object_of({"url": nonempty, "referrer": nonempty}),
        "lead": object_of({"lead_id": text, "lead_event_source": nonempty}, ("lead_id",)),
        "limited_data_use": boolean,
    },
    required=("event", "event_time", "user"),
)
_BODY = object_of(
    {
        "event_source": one_of("web", "crm"),
        "event_source_id": nonempty,
        "partner_name": nonempty,
        "test_event_code": nonempty,
        "data": list_of(_EVENT, 1000),
    },
    required=("event_source", "event_source_id", "data"),
)


def event_track(request: Request) -> Answer:
    """POST /open_api/v1.3/event/track/. What is wrong is told by the code of an answer 200."""
    try:
        _check(request)
    except Wrong as wrong:
        code = {401: 40105, 404: 40006}.get(wrong.status, 40002)
        return _answer({"code": code, "message": str(wrong), "data": {}})
    return _answer({"code": 0, "message": "OK", "request_id": "1", "data": {}})


def _check(request: Request) -> None:
    if request.headers.get("Access-Token") != TOKEN:
        raise Wrong("Access token is incorrect or has been revoked", 401)
    if request.method != "POST" or request.query:
        raise Wrong(f"there is no {request.method} with {request.query}", 404)
    if request.url != "https://business-api.tiktok.com/open_api/v1.3/event/track/":
        raise Wrong(f"there is no {request.url}", 404)
    _BODY(request.json, "body")
    for index, event in enumerate(request.json["data"]):
        if "lead" in event and request.json["event_source"] != "crm":
            raise Wrong(f"body.data[{index}].lead belongs to events of a CRM")


def _answer(body: dict[str, Json]) -> Answer:
    return Answer(200, {"content-type": "application/json"}, json.dumps(body).encode())
