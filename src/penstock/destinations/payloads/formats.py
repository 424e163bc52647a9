"""Formats that a text field may ask for."""

from __future__ import annotations

import calendar
import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Final

from penstock.destinations.payloads.dates import is_date_like

__all__ = ["FORMATS"]

_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_TIME = re.compile(
    r"([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]+)?(?:[zZ]|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)
_LOCAL_PART = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_EMAIL = re.compile(rf"{_LOCAL_PART}(?:\.{_LOCAL_PART})*@(?:{_LABEL}\.)+{_LABEL}", re.I | re.A)
_HOST_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOSTNAME = re.compile(rf"(?=.{{1,253}}\.?\Z){_HOST_LABEL}(?:\.{_HOST_LABEL})*\.?", re.I | re.A)
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|[01]?[0-9]{1,2})"
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
_UUID = re.compile(r"(?:urn:uuid:)?[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.I | re.A)
_PERCENT = r"%[0-9a-f]{2}"
_PATH = rf"(?:[a-z0-9\-._~!$&'\"()*+,;=:@]|{_PERCENT})"
_URI = re.compile(
    r"[a-z][a-z0-9+\-.]*:"
    rf"(?:/?/(?:(?:[a-z0-9\-._~!$&'()*+,;=:]|{_PERCENT})*@)?"
    rf"(?:\[(?P<ip>[0-9a-f:.]+)\]|(?:[a-z0-9\-._~!$&'()*+,;=]|{_PERCENT})*)"
    rf"(?::[0-9]*)?(?:/{_PATH}*)*"
    rf"|/(?:{_PATH}+(?:/{_PATH}*)*)?"
    rf"|{_PATH}+(?:/{_PATH}*)*)"
    rf"(?:\?(?:{_PATH}|[/?])*)?(?:#(?:{_PATH}|[/?])*)?",
    re.I | re.A,
)


def _is_date(text: str) -> bool:
    found = _DATE.fullmatch(text)
    if found is None:
        return False
    year, month, day = map(int, found.groups())
    if not 1 <= month <= 12:
        return False
    return 1 <= day <= _last_day(year, month)


def _last_day(year: int, month: int) -> int:
    if month == 2:
        return 29 if calendar.isleap(year) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def _is_date_time(text: str) -> bool:
    parts = re.split(r"[tT\s]", text)
    if len(parts) != 2 or not _is_date(parts[0]):
        return False
    found = _TIME.fullmatch(parts[1])
    if found is None:
        return False
    hour, minute, second = map(int, found.groups())
    return (hour <= 23 and minute <= 59 and second <= 59) or (hour, minute, second) == (23, 59, 60)


def _is_ipv6(text: str) -> bool:
    try:
        return "%" not in text and bool(ipaddress.IPv6Address(text).packed)
    except ValueError:
        return False


def _is_uri(text: str) -> bool:
    found = _URI.fullmatch(text)
    return found is not None and (found["ip"] is None or _is_ipv6(found["ip"]))


def _whole(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: pattern.fullmatch(text) is not None


FORMATS: Final[Mapping[str, tuple[Callable[[str], bool], str]]] = {
    "date-like": (is_date_like, "a date, such as 2026-01-31T10:00:00Z, or Unix time"),
    "date-time": (_is_date_time, "a date and time, such as 2026-01-31T10:00:00Z"),
    "date": (_is_date, "a date, such as 2026-01-31"),
    "email": (_whole(_EMAIL), "an e-mail address"),
    "uri": (_is_uri, "an address such as https://example.com/page"),
    "hostname": (_whole(_HOSTNAME), "a host name"),
    "ipv4": (_whole(_IPV4), "an IPv4 address"),
    "ipv6": (_is_ipv6, "an IPv6 address"),
    "uuid": (_whole(_UUID), "a UUID"),
    "text": (lambda text: True, "a text"),
    "password": (lambda text: True, "a text"),
}
"""By name: what tells whether a text fits, and how a message describes it."""
