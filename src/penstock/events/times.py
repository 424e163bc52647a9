"""Reading the clocks of other people's machines."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any

__all__ = ["parse_instant", "true_time"]

_LOOSE = re.compile(
    r"\s*(\d{1,4})[-/](\d{1,2})[-/](\d{1,2})"
    r"(?:[Tt\s]\s*(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:[.,](\d{1,9})\d*)?)?)?"
    r"\s*(?:Z|z|UTC|GMT|([+-])(\d{1,2})(?::?(\d{2}))?)?\s*",
    re.ASCII,
)
_NUMBER = re.compile(r"\s*-?\d{9,17}(?:\.\d{1,9})?\s*", re.ASCII)
_MILLISECONDS_FROM = 100_000_000_000
_LONGEST = 64
_SURELY_ISO = 18
"""Shorter text, or such without a dash, may be a number; ``fromisoformat`` makes dates of them."""


def parse_instant(value: Any) -> datetime | None:
    """An aware instant from what clients send as a date, or None when it can't be read as one.

    Reads ISO-8601 and its usual misspellings (unpadded fields, a space for ``T``), RFC 2822, and
    numbers as seconds, or as milliseconds from 1e11 on, also as text. Without an offset the text
    is UTC; an offset that is no whole number of minutes is turned into UTC.
    """
    if isinstance(value, str):
        if len(value) < _SURELY_ISO or value[4] != "-":
            return _parse_loose(value)
        try:
            instant = datetime.fromisoformat(value)
        except ValueError:
            return _parse_loose(value)
        zone = instant.tzinfo
        if zone is UTC:
            return instant
        return instant.replace(tzinfo=UTC) if zone is None else _in_whole_minutes(instant)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return _from_number(value)


def _from_number(value: float) -> datetime | None:
    try:
        seconds = value / 1000 if abs(value) >= _MILLISECONDS_FROM else value
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def _in_whole_minutes(instant: datetime) -> datetime | None:
    """JSON has no seconds in offsets; an offset with seconds becomes UTC."""
    offset = instant.utcoffset()
    if offset is None or offset % timedelta(minutes=1):
        try:
            return instant.astimezone(UTC)
        except OverflowError:
            return None
    return instant


def _parse_loose(text: str) -> datetime | None:
    if len(text) > _LONGEST:
        return None
    if _NUMBER.fullmatch(text):
        return _from_number(float(text))
    match = _LOOSE.fullmatch(text)
    try:
        if match:
            return _from_parts(match)
        number = len(text) > 8 and text[:9].isdigit()
        instant = None if number else datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        instant = None
    if instant is None:
        try:
            instant = parsedate_to_datetime(text)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    return _in_whole_minutes(instant) if instant.tzinfo else instant.replace(tzinfo=UTC)


def _from_parts(match: re.Match[str]) -> datetime:
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    micro = int((match[7] or "").ljust(6, "0")[:6] or 0)
    zone = UTC
    if match[8]:
        offset = timedelta(hours=int(match[9]), minutes=int(match[10] or 0))
        zone = timezone(-offset if match[8] == "-" else offset)
    return datetime(year, month, day, hour, minute, second, micro, tzinfo=zone)


def true_time(original: datetime | None, sent: datetime | None, received: datetime) -> datetime:
    """When the event happened by our clock: ``received - (sent - original)``, in UTC.

    Without ``original`` it is the time of receipt; without ``sent``, or when the sum leaves the
    years 1 to 9999, it is ``original``. Source: Segment's specification of timestamps.
    """
    if original is None:
        return received
    if sent is not None:
        try:
            return received - (sent - original)
        except OverflowError:
            pass
    try:
        return original.astimezone(UTC)
    except OverflowError:
        return received
