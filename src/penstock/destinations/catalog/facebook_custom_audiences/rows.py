"""People as rows of an audience: normalised, and hashed where Facebook asks for it."""

from __future__ import annotations

from penstock.destinations.catalog.common.hashing import (
    city_letters,
    digits,
    email_address,
    gender_letter,
    hashed,
    month_number,
    name_letters,
    postal_code,
    strip,
    us_state,
)
from penstock.destinations.contract import InvalidPayload, Payload

__all__ = ["SCHEMA", "row"]

SCHEMA = (
    "EXTERN_ID",
    "EMAIL",
    "PHONE",
    "DOBY",
    "DOBM",
    "DOBD",
    "LN",
    "FN",
    "FI",
    "GEN",
    "CT",
    "ST",
    "ZIP",
    "COUNTRY",
    "MADID",
)
"""The columns; a row has an empty text where nothing is known."""


def row(payload: Payload) -> list[str]:
    """The person of a payload, in the order of SCHEMA."""
    birth, name = payload.get("birth") or {}, payload.get("name") or {}
    made = [
        payload.get("externalId") or "",
        hashed(payload.get("email") or "", email_address),
        hashed(payload.get("phone") or "", _phone),
        hashed(birth.get("year") or "", strip),
        hashed(birth.get("month") or "", month_number),
        hashed(birth.get("day") or "", _day),
        hashed(name.get("last") or "", name_letters),
        hashed(name.get("first") or "", name_letters),
        hashed(name.get("firstInitial") or "", email_address),
        hashed(payload.get("gender") or "", gender_letter),
        hashed(payload.get("city") or "", city_letters),
        hashed(payload.get("state") or "", _state),
        hashed(payload.get("zip") or "", postal_code),
        hashed(payload.get("country") or "", city_letters),
        strip(payload.get("mobileAdId") or "").lower(),
    ]
    if not any(made):
        raise InvalidPayload("nothing is known of the person; map an id, an e-mail or a phone")
    return made


def _phone(text: str) -> str:
    return digits(text).lstrip("0")


def _day(text: str) -> str:
    day = strip(text)
    return day.zfill(2) if day.isdigit() else day


def _state(text: str) -> str:
    code = us_state(text)
    return code if len(code) == 2 else city_letters(text)
