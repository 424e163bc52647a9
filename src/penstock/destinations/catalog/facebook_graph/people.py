"""Who an event is about, as Facebook matches people: normalised and hashed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from penstock.destinations.catalog.common.hashing import (
    compact,
    country_code,
    digits,
    hashed,
    is_hashed,
    us_state,
)
from penstock.destinations.contract import Json, Payload

__all__ = ["app_data", "user_data"]

_GENDERS = {"female": "f", "male": "m"}


def _phone(text: str) -> str:
    return text if is_hashed(text) else digits(text)


def _gender(text: str) -> str:
    word = compact(text)
    return _GENDERS.get(word, word)


_HASHED: Mapping[str, tuple[str, Callable[[str], str]]] = {
    "em": ("email", compact),
    "ph": ("phone", _phone),
    "ge": ("gender", _gender),
    "db": ("dateOfBirth", str),
    "ln": ("lastName", compact),
    "fn": ("firstName", compact),
    "ct": ("city", compact),
    "st": ("state", us_state),
    "zp": ("zip", compact),
    "country": ("country", country_code),
}
_PLAIN = {
    "client_ip_address": "client_ip_address",
    "client_user_agent": "client_user_agent",
    "fbc": "fbc",
    "fbp": "fbp",
    "subscription_id": "subscriptionID",
    "anon_id": "anonId",
    "madid": "madId",
    "partner_id": "partner_id",
    "partner_name": "partner_name",
    "ctwa_clid": "ctwa_clid",
}
_NUMBERS = {"lead_id": "leadID", "fb_login_id": "fbLoginID"}
_DEVICE = (
    "version",
    "packageName",
    "shortVersion",
    "longVersion",
    "osVersion",
    "deviceName",
    "locale",
    "timezone",
    "carrier",
    "width",
    "height",
    "density",
    "cpuCores",
    "storageSize",
    "freeStorage",
    "deviceTimezone",
)
"""In the order that Facebook reads ``extinfo`` by."""


def user_data(given: Payload) -> dict[str, Json]:
    """Facebook's ``user_data``; what is empty is left out. A date of birth is hashed as given."""
    made: dict[str, Json] = {
        key: text
        for key, (source, write) in _HASHED.items()
        if (text := hashed(write(given.get(source) or "")))
    }
    ids = (hashed(compact(text)) for text in given.get("externalId") or ())
    if known := [text for text in ids if text]:
        made["external_id"] = known
    made |= {key: given[source] for key, source in _PLAIN.items() if given.get(source)}
    made |= {
        key: given[source] for key, source in _NUMBERS.items() if given.get(source) is not None
    }
    return made


def app_data(given: Payload | None) -> dict[str, Json] | None:
    """What Facebook wants to know of the app and device; None unless the user asked for it."""
    if not given or not given.get("use_app_data"):
        return None
    made: dict[str, Json] = {
        "advertiser_tracking_enabled": int(bool(given.get("advertiser_tracking_enabled"))),
        "application_tracking_enabled": int(bool(given.get("application_tracking_enabled"))),
        "extinfo": [given.get(key, "") for key in _DEVICE],
    }
    if given.get("madId") is not None:
        made["madid"] = given["madId"]
    return made
