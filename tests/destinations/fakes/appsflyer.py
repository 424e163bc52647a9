"""AppsFlyer's server-to-server events, refusing what its documentation refuses, and what it takes
but does not record.

Sources: dev.appsflyer.com/hc/reference/s2s-events-api3-post (its OpenAPI document: fields, types
and patterns of both platforms, 1 KB, errors), .../s2s-events-api3-overview (the app's id on iOS
begins with id), support.appsflyer.com/hc/en-us/articles/207034486 (dev key of version 2).
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
    object_of,
    one_of,
    sha256,
    text,
)

__all__ = ["ANDROID", "IOS", "KEY", "inappevent"]

KEY = "s2s-key-of-the-account"
IOS = "id123456789"
ANDROID = "com.example.app"

_CODES = """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP
    BYN BZD CAD CDF CHE CHF CHW CLF CLP CNY COP COU CRC CUC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB
    EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HRK HTG HUF IDR ILS INR IQD IRR ISK JMD JOD
    JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU
    MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD
    RUB RWF SAR SBD SCR SDG SEK SGD SHP SLL SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD
    TWD TZS UAH UGX USD USN UYI UYU UYW UZS VES VND VUV WST XAF XAG XAU XBA XBB XBC XBD XCD XDR XOF
    XPD XPF XPT XSU XTS XUA XXX YER ZAR ZMW ZWL
"""
_CURRENCY = one_of(*_CODES.split())


def _matching(pattern: str) -> Check:
    def check(value: Json, place: str) -> None:
        text(value, place)
        if re.fullmatch(pattern, value) is None:
            raise Wrong(f"{place} is not as it should be: {value!r}")

    return check


_UUID = _matching("[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}")
_ADDRESS = _matching(r"([12]?[0-9]?[0-9]\.){3}[12]?[0-9]?[0-9]")


def _event_value(value: Json, place: str) -> None:
    text(value, place)
    if not value:
        return
    values = json.loads(value)
    if not isinstance(values, dict):
        raise Wrong(f"{place} is no object in JSON")
    if "af_revenue" in values:
        _matching(r"-?\d+(\.\d{1,5})?")(values["af_revenue"], f"{place}.af_revenue")
    if "af_currency" in values:
        _CURRENCY(values["af_currency"], f"{place}.af_currency")


def _object_in_json(value: Json, place: str) -> None:
    nonempty(value, place)
    if not isinstance(json.loads(value), dict):
        raise Wrong(f"{place} is no object in JSON")


def _blocked(value: Json, place: str) -> None:
    if value != "all":
        list_of(nonempty)(value, place)


def _consent(value: Json, place: str) -> None:
    manual = dict.fromkeys(
        ("gdpr_applies", "ad_user_data_enabled", "ad_personalization_enabled"), boolean
    )
    tcf: dict[str, Check] = dict.fromkeys(("policy_version", "cmp_sdk_id"), integer)
    tcf |= {"cmp_sdk_version": integer, "gdpr_applies": one_of(-1, 0, 1), "tcstring": nonempty}
    object_of({"manual": object_of(manual), "tcf": object_of(tcf)})(value, place)
    if len(value) != 1:
        raise Wrong(f"{place} is manual or tcf, one of both")


_EVERYWHERE: dict[str, Check] = {
    "appsflyer_id": _matching(r"\d{13}-\d{7,19}"),
    "eventName": _matching("(?s).{1,100}"),
    "eventValue": _event_value,
    "eventTime": _matching(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}"),
    "eventCurrency": _CURRENCY,
    "customer_user_id": nonempty,
    **dict.fromkeys(
        (
            "email_hashed",
            "phone_number_hashed",
            "phone_number_e164_hashed",
            "first_name_hashed",
            "last_name_hashed",
        ),
        sha256,
    ),
    "fb_login_id": _matching(r"\d+"),
    "ip": _ADDRESS,
    "app_type": one_of("app_clip"),
    "sharing_filter": _blocked,
    "custom_data": _object_in_json,
    "aie": boolean,
    "consent_data": _consent,
    **dict.fromkeys(("app_version_name", "app_store", "bundleIdentifier", "os", "ua"), nonempty),
}
_NEEDED = ("appsflyer_id", "eventName", "eventValue")
_OF_IOS = object_of(
    {**_EVERYWHERE, "idfa": _UUID, "idfv": _UUID, "att": one_of(0, 1, 2, 3)}, _NEEDED
)
_OF_ANDROID = object_of(
    {**_EVERYWHERE, **dict.fromkeys(("advertising_id", "oaid", "amazon_aid", "imei"), nonempty)},
    _NEEDED,
)


def inappevent(request: Request) -> Answer:
    """POST /inappevent/{app}."""
    if request.headers.get("authentication") != KEY:
        raise Wrong("Unauthorized", 401)
    place = re.fullmatch(r"https://api[23]\.appsflyer\.com/inappevent/([^/]+)", request.url)
    if place is None or request.method != "POST":
        raise Wrong(f"there is no {request.method} {request.url}", 404)
    if place[1] not in (IOS, ANDROID):
        raise Wrong("app_id")
    if len(json.dumps(request.json, ensure_ascii=False, separators=(",", ":")).encode()) > 1024:
        raise Wrong("more than 1 KB")
    (_OF_IOS if place[1] == IOS else _OF_ANDROID)(request.json, "body")
    return Answer(200, {}, b"OK")
