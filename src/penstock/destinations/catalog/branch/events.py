"""Events of apps and sites, as Branch's Events API takes them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from penstock.destinations.catalog.common.devices import advertising_id, platform_of
from penstock.destinations.contract import Call, InvalidPayload, Json, Payload, Request, Steps

__all__ = ["CATEGORIES", "HOSTS", "SCHEMAS", "STANDARD", "log_event"]

HOSTS = {"us": "https://api2.branch.io", "eu": "https://api3-eu.branch.io"}
STANDARD = (
    *("ADD_TO_CART", "ADD_TO_WISHLIST", "VIEW_CART", "INITIATE_PURCHASE", "ADD_PAYMENT_INFO"),
    *("PURCHASE", "SPEND_CREDITS", "CLICK_AD", "VIEW_AD", "SEARCH", "VIEW_ITEM", "VIEW_ITEMS"),
    *("RATE", "SHARE", "INITIATE_STREAM", "COMPLETE_STREAM", "COMPLETE_REGISTRATION"),
    *("COMPLETE_TUTORIAL", "ACHIEVE_LEVEL", "UNLOCK_ACHIEVEMENT", "INVITE", "LOGIN"),
    *("START_TRIAL", "SUBSCRIBE"),
)
SCHEMAS = (
    *("COMMERCE_AUCTION", "COMMERCE_BUSINESS", "COMMERCE_OTHER", "COMMERCE_PRODUCT"),
    *("COMMERCE_RESTAURANT", "COMMERCE_SERVICE", "COMMERCE_TRAVEL_FLIGHT"),
    *("COMMERCE_TRAVEL_HOTEL", "COMMERCE_TRAVEL_OTHER", "GAME_STATE", "MEDIA_IMAGE"),
    *("MEDIA_MIXED", "MEDIA_MUSIC", "MEDIA_OTHER", "MEDIA_VIDEO", "OTHER", "TEXT_ARTICLE"),
    *("TEXT_BLOG", "TEXT_OTHER", "TEXT_RECIPE", "TEXT_REVIEW", "TEXT_SEARCH_RESULTS"),
    *("TEXT_STORY", "TEXT_TECHNICAL_DOC"),
)
CATEGORIES = frozenset(
    (
        "ANIMALS_AND_PET_SUPPLIES",
        "APPAREL_AND_ACCESSORIES",
        "ARTS_AND_ENTERTAINMENT",
        "BABY_AND_TODDLER",
        "BUSINESS_AND_INDUSTRIAL",
        "CAMERAS_AND_OPTICS",
        "ELECTRONICS",
        "FOOD_BEVERAGES_AND_TOBACCO",
        "FURNITURE",
        "HARDWARE",
        "HEALTH_AND_BEAUTY",
        "HOME_AND_GARDEN",
        "LUGGAGE_AND_BAGS",
        "MATURE",
        "MEDIA",
        "OFFICE_SUPPLIES",
        "RELIGIOUS_AND_CEREMONIAL",
        "SOFTWARE",
        "SPORTING_GOODS",
        "TOYS_AND_GAMES",
        "VEHICLES_AND_PARTS",
    )
)
_SYSTEMS = (("mac", "MAC_OS"), ("win", "WINDOWS"), ("linux", "LINUX"))
_IDS = {
    "ios": {"idfa": "advertising_id", "idfv": "device_id"},
    "android": {"aaid": "advertising_id", "android_id": "device_id"},
}
_IDENTIFY = ("developer_identity", "browser_fingerprint_id", *_IDS["ios"], *_IDS["android"])


def log_event(call: Call, kind: str) -> Steps:
    """An event of that kind (``standard`` or ``custom``); Branch takes it as of now."""
    given = call.payload
    user = _user(given)
    if not any(user.get(key) for key in _IDENTIFY):
        raise InvalidPayload(
            "Branch needs the user or the device: map developer_identity, or platform (ios or "
            "android) with advertising_id or device_id"
        )
    parts = {
        "customer_event_alias": given.get("customer_event_alias"),
        "user_data": user,
        "event_data": _known(given.get("event_data", {})),
        "content_items": [item for each in given.get("content_items", ()) if (item := _item(each))],
        "custom_data": _texts(given.get("custom_data", {})),
    }
    body = {"name": given["name"], **_known(parts)}
    headers = {}
    if call.settings.get("override_ip") and user.get("ip"):
        headers["X-IP-Override"] = user["ip"]
    host = HOSTS[call.settings.get("region") or "us"]
    yield Request("POST", f"{host}/v2/event/{kind}", headers=headers, json=body)
    return None


def _user(given: Payload) -> dict[str, Json]:
    """``user_data``: what is mapped of it, and what follows from the device."""
    platform = platform_of(given.get("platform", ""))
    user: dict[str, Json] = {
        "os": _system(given.get("platform", "")),
        **_place(given.get("locale", "")),
    }
    followed = {**given, "advertising_id": advertising_id(given.get("advertising_id", ""))}
    if platform:
        user["environment"] = "FULL_APP"
        user |= {key: followed.get(field) for key, field in _IDS[platform].items()}
    if "ad_tracking_enabled" in given:
        user["limit_ad_tracking"] = not given["ad_tracking_enabled"]
    return _known(user | _known(given.get("user_data", {})))


def _system(name: str) -> str:
    platform = platform_of(name)
    if platform:
        return "iOS" if platform == "ios" else "Android"
    return next((known for start, known in _SYSTEMS if name.lower().startswith(start)), "")


def _place(locale: str) -> dict[str, Json]:
    """``en-US`` is the language ``en`` in the country ``US``."""
    language, _, country = locale.replace("_", "-").partition("-")
    made = {"language": language.lower()}
    return made | ({"country": country.upper()} if re.fullmatch("[A-Za-z]{2}", country) else {})


def _item(given: Mapping[str, Json]) -> dict[str, Json]:
    """A content item; a category that Branch does not know is kept among the custom fields."""
    item = _known(given)
    if not item:
        return {}
    own = dict(item.pop("$custom_fields", {}))
    category = str(item.pop("$product_category", ""))
    written = re.sub("[^A-Z0-9]+", "_", category.upper().replace("&", " AND ")).strip("_")
    if written in CATEGORIES:
        item["$product_category"] = written
    elif category:
        own["category"] = category
    if own:
        item["$custom_fields"] = json.dumps(_texts(own), ensure_ascii=False)
    return {"$content_schema": "COMMERCE_PRODUCT", **item}


def _known(given: Mapping[str, Json]) -> dict[str, Json]:
    return {key: value for key, value in given.items() if value not in (None, "", [], {})}


def _texts(given: Mapping[str, Json]) -> dict[str, Json]:
    """Values as texts, since Branch's custom data holds no others; products have their place."""
    return {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in given.items()
        if value is not None and key != "products"
    }
