"""Telephone numbers as the whole world dials them."""

from __future__ import annotations

import re

__all__ = ["e164"]

_E164 = re.compile(r"(?a)\+[1-9]\d{1,14}")


def e164(number: str, country: str = "") -> str | None:
    """The number in the form ``+14155550123``; None when it is not valid.

    A number written as it is dialled at home needs the country's two letters, such as ``US``.
    """
    if _E164.fullmatch(number):
        return number
    if not country:
        return None
    import phonenumbers

    try:
        parsed = phonenumbers.parse(number, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number_for_region(parsed, country):
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
