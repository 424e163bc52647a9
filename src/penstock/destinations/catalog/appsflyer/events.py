"""Events of apps, as AppsFlyer's server-to-server API takes them."""

from __future__ import annotations

import ipaddress
import json
import math
import re
from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from penstock.destinations.catalog.common.devices import Platform, advertising_id, platform_of
from penstock.destinations.catalog.common.fields import renamed
from penstock.destinations.catalog.common.hashing import digits, email_address, hashed, strip
from penstock.destinations.catalog.common.phones import e164
from penstock.destinations.catalog.common.places import CURRENCIES
from penstock.destinations.catalog.common.times import moment
from penstock.destinations.contract import (
    Call,
    InvalidPayload,
    Json,
    Payload,
    Request,
    Settings,
    Steps,
)

__all__ = ["HOSTS", "send_event"]

HOSTS = {"v3": "https://api3.appsflyer.com", "v2": "https://api2.appsflyer.com"}
_MOST_BYTES = 1024
_UUID = re.compile("[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}")
_ID = "appsflyerExternalId"
_ALIKE = (
    "customer_user_id",
    "os",
    "ua",
    "app_version_name",
    "app_store",
    "bundleIdentifier",
    "app_type",
    "aie",
    "fb_login_id",
)
_ANDROID = ("advertising_id", "oaid", "amazon_aid", "imei")
_OF_ORDER = {
    "af_order_id": "order_id",
    "af_search_string": "query",
    "af_registration_method": "method",
    "af_content_id": "content_id",
    "af_content": "content",
    "af_content_type": "content_type",
    "af_price": "price",
    "af_quantity": "quantity",
}
_OF_PRODUCTS = {
    "af_content_id": "content_id",
    "af_content": "content",
    "af_price": "price",
    "af_quantity": "quantity",
}


def send_event(call: Call) -> Steps:
    """One event of one installed app; AppsFlyer says OK to much that it does not record."""
    given = call.payload
    platform = platform_of(given.get("platform", ""))
    told: dict[str, Json] = {
        "appsflyer_id": _appsflyer_id(given),
        "eventName": given["event_name"],
        **renamed(given, {key: key for key in _ALIKE}),
        **_device(given, platform),
        **_person(given),
    }
    if (when := moment(given.get("event_time"))) is not None:
        told["eventTime"] = f"{when:%Y-%m-%d %H:%M:%S}.{when.microsecond // 1000:03}"
    if _is_ipv4(given.get("ip", "")):
        told["ip"] = given["ip"]
    if given.get("custom_data"):
        told["custom_data"] = _compact(given["custom_data"])
    if consent := _consent(given.get("consent", {})):
        told["consent_data"] = consent
    if blocked := given.get("sharing_filter"):
        told["sharing_filter"] = "all" if "all" in blocked else blocked
    values = _values(given)
    if "af_currency" in values:
        told["eventCurrency"] = values["af_currency"]
    body = _fitted(told, values, given.get("properties", {}))
    app = quote(_app(given, call.settings, platform), safe="")
    host = HOSTS[call.settings.get("api") or "v3"]
    yield Request("POST", f"{host}/inappevent/{app}", json=body)
    return None


def _appsflyer_id(given: Payload) -> str:
    """That of the mapping, else that among the event's external ids."""
    known = [each.get("id") for each in given.get("external_ids", ()) if each.get("type") == _ID]
    found = given.get("appsflyer_id") or next(filter(None, known), "")
    if not found:
        raise InvalidPayload(
            "AppsFlyer needs its id of the install: send it as integrations.AppsFlyer.appsFlyerId"
        )
    return str(found)


def _app(given: Payload, settings: Settings, platform: Platform) -> str:
    app = str(given.get("app_id") or settings.get(f"{platform}_app_id") or "")
    if not app:
        place = f"set {platform}_app_id" if platform else "map platform to ios or android"
        raise InvalidPayload(f"AppsFlyer needs the app: {place}, or map app_id")
    return f"id{app}" if app.isdigit() else app


def _device(given: Payload, platform: Platform) -> dict[str, Json]:
    followed = advertising_id(given.get("advertising_id", ""))
    if platform != "ios":
        return {key: given[key] for key in _ANDROID[1:] if given.get(key)} | (
            {"advertising_id": followed} if followed else {}
        )
    known = {"idfa": followed.upper(), "idfv": given.get("device_id", "").upper()}
    device: dict[str, Json] = {key: id for key, id in known.items() if _UUID.fullmatch(id)}
    return device | ({"att": given["att"]} if "att" in given else {})


def _person(given: Payload) -> dict[str, Json]:
    """What is known of the user, hashed. Nothing of it is mapped unless the user says so."""
    phone = strip(given.get("phone", ""))
    made = {
        "email_hashed": hashed(given.get("email", ""), email_address),
        "phone_number_hashed": hashed(phone, lambda text: digits(text).lstrip("0")),
        "phone_number_e164_hashed": hashed(e164(phone) or ""),
        "first_name_hashed": hashed(given.get("first_name", ""), str.lower),
        "last_name_hashed": hashed(given.get("last_name", ""), str.lower),
    }
    return {key: value for key, value in made.items() if value}


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _consent(given: Mapping[str, Json]) -> dict[str, Json]:
    """What the user said outright goes before what a consent platform stored."""
    manual = {key: value for key, value in given.items() if key != "tcf"}
    if manual:
        return {"manual": manual}
    return {"tcf": given["tcf"]} if given.get("tcf") else {}


def _values(given: Payload) -> dict[str, Json]:
    """The parameters that AppsFlyer passes on to advertising networks."""
    values = renamed(given, _OF_ORDER)
    products = given.get("products", ())
    for key, field in _OF_PRODUCTS.items():
        if products and all(field in product for product in products):
            values[key] = [product[field] for product in products]
    revenue = given.get("revenue")
    if revenue is not None:
        values["af_revenue"] = _amount(-abs(revenue) if given.get("refund") else revenue)
    currency = str(given.get("currency", "")).strip().upper()
    if currency in CURRENCIES:
        values["af_currency"] = currency
    elif currency and revenue is not None:
        raise InvalidPayload(f"currency is no code of ISO 4217, such as EUR: {currency[:20]}")
    return values


def _amount(value: float) -> str:
    """Digits and a point, as AppsFlyer writes revenue."""
    if not math.isfinite(value):
        raise InvalidPayload("revenue is no number")
    return re.sub(r"\.?0+$", "", f"{value or 0:.5f}")


def _fitted(
    told: dict[str, Json], values: dict[str, Json], own: Mapping[str, Json]
) -> dict[str, Json]:
    """The body, whose own properties make way, the longest first, when it is beyond 1 KB."""
    kept = {key: value for key, value in own.items() if value is not None and key != "products"}
    longest = sorted(kept, key=lambda key: (len(_compact(kept[key])) + len(key), key))
    while True:
        together = kept | values
        body = {**told, "eventValue": _compact(together) if together else ""}
        if len(msgspec.json.encode(body)) <= _MOST_BYTES:
            return body
        if not longest:
            raise InvalidPayload(f"the event has more than AppsFlyer's {_MOST_BYTES} bytes")
        del kept[longest.pop()]


def _compact(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
