"""Personal data made comparable and hashed, as advertising tools ask for it.

A tool tells how a value is to be written before it is hashed, so that both sides arrive at the
same hash; the functions below are the writings in use. What was hashed by the sender already is
recognised by its form and left as it is: ``hashed("1c8e…")`` with 64 hexadecimal digits.

Space means here what it means to browsers, byte order mark and no-break space included.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable
from datetime import date
from typing import Literal

from penstock.destinations.catalog.common.places import COUNTRY_CODES, US_STATE_CODES

__all__ = [
    "Digest",
    "Method",
    "birth_date",
    "city_letters",
    "compact",
    "country_code",
    "digits",
    "email_address",
    "gender_letter",
    "hash_text",
    "hashed",
    "hashed_list",
    "is_hashed",
    "month_number",
    "name_letters",
    "postal_code",
    "strip",
    "us_state",
]

Method = Literal["md5", "sha1", "sha224", "sha256", "sha384", "sha512"]
Digest = Literal["hex", "base64"]

_SPACE = "\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_SPACES = re.compile(f"[{_SPACE}]+")
_ENDS = re.compile(f"^[{_SPACE}]+|[{_SPACE}]+$")
_NO_DIGITS = re.compile(r"[^0-9]+")
_NO_WORD = re.compile(r"[^A-Za-z0-9]+")
_SIZES = {"md5": 16, "sha1": 20, "sha224": 28, "sha256": 32, "sha384": 48, "sha512": 64}
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_HEX = re.compile(r"[0-9a-fA-F]+")
_FEMALE = frozenset(("f", "female", "woman", "girl"))
_MALE = frozenset(("m", "male", "man", "boy"))
_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)


def strip(text: str) -> str:
    """Without spaces at either end."""
    return _ENDS.sub("", text)


def is_hashed(text: str, method: Method = "sha256", digest: Digest = "hex") -> bool:
    """Whether the whole text has the form of a hash; letters of either case."""
    size = _SIZES[method]
    if digest == "hex":
        return len(text) == 2 * size and _HEX.fullmatch(text) is not None
    return len(text) == -(-size // 3) * 4 and _BASE64.fullmatch(text) is not None


def hash_text(text: str, method: Method = "sha256", digest: Digest = "hex") -> str:
    """The hash of the UTF-8 bytes."""
    made = hashlib.new(method, text.encode("utf-8", "surrogatepass"), usedforsecurity=False)
    if digest == "hex":
        return made.hexdigest()
    import base64

    return base64.b64encode(made.digest()).decode("ascii")


def hashed(
    text: str,
    write: Callable[[str], str] | None = None,
    method: Method = "sha256",
    digest: Digest = "hex",
) -> str:
    """The text's hash after ``write``; a hash stays as it is, and what is blank becomes ``""``."""
    if not strip(text):
        return ""
    if is_hashed(text, method, digest):
        return text
    written = write(text) if write else text
    return hash_text(written, method, digest) if strip(written) else ""


def hashed_list(texts: list[str], write: Callable[[str], str] | None = None) -> list[str]:
    """SHA-256 of each, in order, without those that come out empty."""
    return [made for text in texts if (made := hashed(text, write))]


def compact(text: str) -> str:
    """Small letters without any space: e-mail, names and places for Facebook's events."""
    return _SPACES.sub("", text).lower()


def email_address(text: str) -> str:
    """Small letters, no space around."""
    return strip(text).lower()


def digits(text: str) -> str:
    """Only the digits: a telephone number with its country code."""
    return _NO_DIGITS.sub("", text)


def name_letters(text: str) -> str:
    """A name in small letters without punctuation; spaces inside and accents stay."""
    kept = (sign for sign in strip(text).lower() if not unicodedata.category(sign).startswith("P"))
    return "".join(kept)


def city_letters(text: str) -> str:
    """A place in small letters: only a-z and digits."""
    return _NO_WORD.sub("", text).lower()


def postal_code(text: str) -> str:
    """A postal code in small letters without spaces; of ``94035-1234`` the part before the dash."""
    if "-" in text:
        return text.split("-")[0]
    return compact(text)


def gender_letter(text: str) -> str:
    """``f`` or ``m``; empty when it is neither."""
    word = compact(text)
    if word in _FEMALE:
        return "f"
    return "m" if word in _MALE else ""


def us_state(text: str) -> str:
    """Two letters for a state of the USA by name; any other name without spaces, small."""
    word = compact(text)
    return US_STATE_CODES.get(word, word)


def country_code(text: str) -> str:
    """Two letters for an English country name; anything else without spaces, small."""
    word = compact(text)
    return COUNTRY_CODES.get(word, word)


def month_number(text: str) -> str:
    """``01`` to ``12`` for a month's number or English name; else the text as it is."""
    word = strip(text).lower()
    if word in _MONTHS:
        return f"{_MONTHS.index(word) + 1:02}"
    return f"{int(word):02}" if re.fullmatch("[0-9]{1,2}", word) else text


def birth_date(text: str) -> str:
    """``YYYYMMDD`` of an ISO date, with or without a time; other texts without spaces, small."""
    try:
        return date.fromisoformat(strip(text)[:10]).strftime("%Y%m%d")
    except ValueError:
        return compact(text)
