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
    r"\s*(Z|z|UTC|GMT|[+-]\d{1,2}(?::?\d{2})?)?\s*"
)
_MILLISECONDS_FROM = 100_000_000_000


def parse_instant(value: Any) -> datetime | None:
    """An aware instant from what clients send as a date, or None when it can't be read as one.

    Reads ISO-8601 and its usual misspellings (unpadded fields, a space for ``T``), RFC 2822, and
    numbers as seconds, or as milliseconds from 1e11 on. Without an offset the text is UTC.
    """
    if isinstance(value, str):
        try:
            instant = datetime.fromisoformat(value)
        except ValueError:
            return _parse_loose(value)
        return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    seconds = value / 1000 if abs(value) >= _MILLISECONDS_FROM else value
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def _parse_loose(text: str) -> datetime | None:
    if len(text) > 64:
        return None
    match = _LOOSE.fullmatch(text)
    try:
        if not match:
            instant = parsedate_to_datetime(text)
            return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
        year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
        micro = int((match[7] or "").ljust(6, "0")[:6] or 0)
        zone = _zone(match[8])
        return datetime(year, month, day, hour, minute, second, micro, tzinfo=zone)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _zone(text: str | None) -> timezone:
    if not text or text[0] not in "+-":
        return UTC
    digits = text[1:].replace(":", "")
    hours, minutes = int(digits[:2]), int(digits[2:] or 0)
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if text[0] == "-" else offset)


def true_time(original: datetime | None, sent: datetime | None, received: datetime) -> datetime:
    """When the event happened by our clock: ``received - (sent - original)``, in UTC.

    Without ``original`` it is the time of receipt; without ``sent``, or when the sum leaves the
    years 1 to 9999, it is ``original``. Source: Segment's specification of timestamps.
    """
    if original is None:
        return received
    try:
        if sent is not None:
            return received - (sent - original)
        return original.astimezone(UTC)
    except OverflowError:
        return received
