"""Branch's Events API, refusing what its documentation refuses.

Sources: github.com/BranchMetrics/branch-deep-linking-public-api, README.md, "Logging Commerce
Events" to "Logging Custom Events" (fields and their values, required identifiers, an example),
help.branch.io/apidocs/logstandardevents and .../logcustomevents (names, ip and X-IP-Override,
dma_eea with both consents, event data of custom events), help.branch.io/apidocs/events (429).
"""

from __future__ import annotations

import json
import re

from penstock.destinations.contract import Answer, Request
from tests.destinations.fakes.strict import (
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
)

__all__ = ["KEY", "event"]

KEY = "key_test_hdcBLUy1xZ1JD0tKg7qrLcgirFmPPVJc"
_NAMES = """
    ADD_TO_CART ADD_TO_WISHLIST VIEW_CART INITIATE_PURCHASE ADD_PAYMENT_INFO CLICK_AD PURCHASE
    SPEND_CREDITS VIEW_AD SEARCH VIEW_ITEM VIEW_ITEMS RATE SHARE INITIATE_STREAM COMPLETE_STREAM
    COMPLETE_REGISTRATION COMPLETE_TUTORIAL ACHIEVE_LEVEL UNLOCK_ACHIEVEMENT INVITE LOGIN
    START_TRIAL SUBSCRIBE
"""
_SCHEMA = re.compile("(COMMERCE|GAME|MEDIA|TEXT)_[A-Z_]+|OTHER")
_CATEGORIES = """
    ANIMALS_AND_PET_SUPPLIES APPAREL_AND_ACCESSORIES ARTS_AND_ENTERTAINMENT BABY_AND_TODDLER
    BUSINESS_AND_INDUSTRIAL CAMERAS_AND_OPTICS ELECTRONICS FOOD_BEVERAGES_AND_TOBACCO FURNITURE
    HARDWARE HEALTH_AND_BEAUTY HOME_AND_GARDEN LUGGAGE_AND_BAGS MATURE MEDIA OFFICE_SUPPLIES
    RELIGIOUS_AND_CEREMONIAL SOFTWARE SPORTING_GOODS TOYS_AND_GAMES VEHICLES_AND_PARTS
"""
_CONDITION = one_of("OTHER", "NEW", "EXCELLENT", "GOOD", "FAIR", "POOR", "USED", "REFURBISHED")


def _schema(value: Json, place: str) -> None:
    nonempty(value, place)
    if _SCHEMA.fullmatch(value) is None:
        raise Wrong(f"{place} is no schema: {value!r}")


def _custom(value: Json, place: str) -> None:
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise Wrong(f"{place} is no object of texts")


def _custom_in_json(value: Json, place: str) -> None:
    nonempty(value, place)
    _custom(json.loads(value), place)


def _country(value: Json, place: str) -> None:
    nonempty(value, place)
    if re.fullmatch("[A-Z]{2}", value) is None:
        raise Wrong(f"{place} is no code of a country: {value!r}")


_USER = object_of(
    {
        "os": one_of("Android", "iOS", "MAC_OS", "LINUX", "WINDOWS"),
        "environment": one_of("FULL_APP"),
        "country": _country,
        "screen_dpi": number,
        "screen_height": integer,
        "screen_width": integer,
        **dict.fromkeys(
            ("os_version", "aaid", "android_id", "idfa", "idfv", "user_agent", "http_origin"),
            nonempty,
        ),
        **dict.fromkeys(
            ("browser_fingerprint_id", "http_referrer", "developer_identity", "language", "ip"),
            nonempty,
        ),
        **dict.fromkeys(("local_ip", "brand", "app_version", "model"), nonempty),
        **dict.fromkeys(
            ("limit_ad_tracking", "dma_eea", "dma_ad_personalization", "dma_ad_user_data"), boolean
        ),
    }
)
_EVENT = object_of(
    {
        **dict.fromkeys(("revenue", "shipping", "tax"), number),
        **dict.fromkeys(
            ("transaction_id", "currency", "coupon", "affiliation", "description", "search_query"),
            nonempty,
        ),
    }
)
_ITEM: dict[str, Check] = {
    "$content_schema": _schema,
    "$product_category": one_of(*_CATEGORIES.split()),
    "$condition": _CONDITION,
    "$custom_fields": _custom_in_json,
    **dict.fromkeys(("$keywords", "$image_captions"), list_of(nonempty)),
    **dict.fromkeys(("$publicly_indexable", "$locally_indexable"), boolean),
    **dict.fromkeys(
        ("$price", "$quantity", "$rating_average", "$rating_max", "$latitude", "$longitude"), number
    ),
    **dict.fromkeys(("$rating_count", "$creation_timestamp", "$exp_date"), integer),
    **dict.fromkeys(
        ("$og_title", "$og_description", "$og_image_url", "$canonical_identifier", "$sku"), nonempty
    ),
    **dict.fromkeys(("$product_name", "$product_brand", "$product_variant"), nonempty),
    **dict.fromkeys(
        (f"$address_{part}" for part in ("street", "city", "region", "country", "postal_code")),
        nonempty,
    ),
}
_PARTS: dict[str, Check] = {
    "branch_key": one_of(KEY),
    "name": nonempty,
    "customer_event_alias": nonempty,
    "user_data": _USER,
    "custom_data": _custom,
    "event_data": _EVENT,
    "content_items": list_of(object_of(_ITEM)),
}
_NEEDED = ("branch_key", "name", "user_data")
_CHECKS = {
    "standard": object_of({**_PARTS, "name": one_of(*_NAMES.split())}, _NEEDED),
    "custom": object_of(_PARTS, _NEEDED),
}


def event(request: Request) -> Answer:
    """POST /v2/event/standard and /v2/event/custom."""
    place = re.fullmatch(r"https://(api2|api3-eu)\.branch\.io/v2/event/(\w+)", request.url)
    if place is None or place[2] not in _CHECKS or request.method != "POST":
        raise Wrong(f"there is no {request.method} {request.url}", 404)
    _CHECKS[place[2]](request.json, "body")
    user = request.json["user_data"]
    device = {"iOS": ("idfa", "idfv"), "Android": ("android_id", "aaid")}.get(user.get("os"), ())
    if not {"developer_identity", "browser_fingerprint_id", *device} & set(user):
        raise Wrong("user_data has none of the required identifiers")
    if user.get("dma_eea") and not {"dma_ad_personalization", "dma_ad_user_data"} <= set(user):
        raise Wrong("dma_eea needs both consents")
    if request.headers.get("X-IP-Override", user.get("ip")) != user.get("ip"):
        raise Wrong("X-IP-Override is not user_data.ip")
    return Answer(200, {}, b'{"branch_view_enabled":false}')
