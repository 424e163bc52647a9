"""Who converted, as Google Ads matches people: normalised and hashed."""

from __future__ import annotations

import re

from penstock.destinations.catalog.common.hashing import digits, email_address, hashed
from penstock.destinations.contract import InvalidPayload, Json, Payload

__all__ = ["address", "reached"]

_ADDRESS = re.compile(
    r"[^@\s]+@[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+"
)
_MAILBOX = re.compile(r"(?:gmail|googlemail)\.")
_DEFAULT_COUNTRY = "+1"
_HASHED = {
    "hashedFirstName": "first_name",
    "hashedLastName": "last_name",
    "hashedStreetAddress": "street_address",
}
_PLAIN = {
    "city": "city",
    "state": "state",
    "countryCode": "country",
    "postalCode": "postal_code",
}


def reached(payload: Payload) -> list[dict[str, Json]]:
    """E-mail and telephone, each an identifier of its own."""
    country = payload.get("phone_country_code")
    known = {
        "hashedEmail": hashed(payload.get("email_address") or "", _email),
        "hashedPhoneNumber": hashed(
            payload.get("phone_number") or "", lambda text: _phone(text, country)
        ),
    }
    return [{key: value} for key, value in known.items() if value]


def address(payload: Payload) -> list[dict[str, Json]]:
    """Name and place as one identifier; none when nothing is known."""
    known = {
        key: hash
        for key, field in _HASHED.items()
        if (hash := hashed(payload.get(field) or "", email_address))
    }
    known |= {key: payload[field] for key, field in _PLAIN.items() if payload.get(field)}
    return [{"addressInfo": known}] if known else []


def _email(text: str) -> str:
    """Small letters; in Google's own mailboxes dots before the @ mean nothing."""
    written = email_address(text)
    if _ADDRESS.fullmatch(written) is None:
        raise InvalidPayload(f"email_address is no e-mail address: {written[:60]}")
    name, domain = written.rsplit("@", 1)
    return f"{name.replace('.', '')}@{domain}" if _MAILBOX.match(domain) else written


def _phone(text: str, country: str | None) -> str:
    """E.164. A number that begins with + has its country code."""
    number = digits(text)
    if country is None and text.strip().startswith("+"):
        return f"+{number}"
    code = digits(country or _DEFAULT_COUNTRY)
    return f"+{number}" if number.startswith(code) else f"+{code}{number}"
