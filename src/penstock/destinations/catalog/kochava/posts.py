"""Installs, events and identities, as Kochava's server-to-server API takes them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import quote

from penstock.destinations.catalog.common.devices import advertising_id, platform_of
from penstock.destinations.catalog.common.fields import renamed
from penstock.destinations.catalog.common.times import moment
from penstock.destinations.contract import Call, InvalidPayload, Json, Payload, Request, Steps

__all__ = ["RESERVED", "link_identity", "post"]

_HOST = "https://control.kochava.com"
RESERVED = frozenset(
    (
        "network",
        "source",
        "fb_campaign",
        "campaign",
        "site",
        "creative",
        "attribution_type",
        "integration_type",
        "integration_version",
        "cracked",
        "jailbroken",
    )
)
"""Keys of event data that Kochava uses itself."""
_IDS = {
    "ios": {"idfa": "advertising_id", "idfv": "device_id"},
    "android": {"adid": "advertising_id", "android_id": "device_id"},
}
_OWN_IDS = ("idfa", "idfv", "adid", "android_id")
_NAMED = {
    "sum": "sum",
    "currency": "currency",
    "price": "price",
    "quantity": "quantity",
    "content_id": "content_id",
    "name": "content_name",
    "user_id": "user_id",
    "query": "query",
    "order_id": "order_id",
}
_LISTED = {"content_id": "content_id", "name": "content_name"}
_ATT = ("att", "att_time", "att_duration", "att_detail")


def post(call: Call, action: str) -> Steps:
    """An ``install``, or an ``event`` of an app whose install Kochava knows."""
    given = call.payload
    data = _device(given, call.now)
    if action == "event":
        data["event_name"] = given["event_name"]
        data["event_data"] = _event_data(given)
        data |= renamed(given, {"currency": "currency"})
    elif given.get("ad_services_token"):
        data["ad_services_token"] = given["ad_services_token"]
    body = {
        "action": action,
        "kochava_app_id": _app(call),
        "kochava_device_id": given.get("kochava_device_id", ""),
        "data": data,
    }
    yield Request("POST", f"{_HOST}/track/json", json=body)
    return None


def link_identity(call: Call) -> Steps:
    """Who the user of a device is, by ids of one's own."""
    given = call.payload
    known = {key: str(value) for key, value in given.get("identities", {}).items() if value}
    if not known:
        raise InvalidPayload("there is no identity to link: send a userId, or map identities")
    body = {"kochava_app_id": _app(call), "device_id": _ids(given), "data": known}
    yield Request("POST", f"{_HOST}/v1/cpi/identityLink.php", json=body)
    return None


def _app(call: Call) -> str:
    return str(call.payload.get("kochava_app_id") or call.settings["kochava_app_id"])


def _device(given: Payload, now: datetime) -> dict[str, Json]:
    """What Kochava needs of each device; empty texts where nothing is known."""
    when = moment(given.get("usertime")) or now
    data: dict[str, Json] = {
        "usertime": int(when.timestamp()),
        "device_ids": _ids(given),
        "device_ua": quote(given.get("device_ua", ""), safe=""),
        "device_ver": _version(given),
        "origination_ip": given.get("origination_ip", ""),
        **renamed(given, {"app_version": "app_version"}),
    }
    if "ad_tracking_enabled" in given:
        data["device_limit_tracking"] = not given["ad_tracking_enabled"]
    transparency = _transparency(given)
    return data | ({"app_tracking_transparency": transparency} if transparency else {})


def _transparency(given: Payload) -> dict[str, Json]:
    told = {key: given[key] for key in _ATT if key in given}
    if "att" not in told and "att_status" in given:
        told["att"] = given["att_status"] == 3
    return told


def _ids(given: Payload) -> dict[str, Json]:
    """Ids of the device by kind: those mapped, else what its platform calls the two of it."""
    found = {key: given[key] for key in _OWN_IDS if given.get(key)}
    platform = platform_of(given.get("platform", ""))
    told = {**given, "advertising_id": advertising_id(given.get("advertising_id", ""))}
    if platform:
        found = {key: told.get(field) for key, field in _IDS[platform].items()} | found
    known = {key: value for key, value in found.items() if value}
    if not known:
        raise InvalidPayload(
            "Kochava needs the device: map platform (ios or android) with advertising_id or "
            "device_id"
        )
    return known


def _version(given: Payload) -> str:
    """``iPhone15,2-iOS-17.1``: model, system and its version, as far as all are known."""
    if given.get("device_ver"):
        return str(given["device_ver"])
    parts = [given.get(key, "") for key in ("model", "os_name", "os_version")]
    return "-".join(parts) if all(parts) else ""


def _event_data(given: Payload) -> dict[str, Json]:
    """Own properties below the names that Kochava's standard events have."""
    own: Mapping[str, Json] = given.get("event_data", {})
    named = renamed(given, _NAMED)
    for key, field in _LISTED.items():
        listed = [str(each[field]) for each in given.get("products", ()) if each.get(field)]
        if listed and key not in named:
            named[key] = ",".join(listed)
    kept = {key: value for key, value in own.items() if value is not None and key not in RESERVED}
    return kept | named
