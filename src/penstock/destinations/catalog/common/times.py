"""Points in time as texts, made into the forms that tools take."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

from penstock.destinations.contract import Json

__all__ = ["instant", "is_iso", "iso_text", "unix_seconds", "with_unix_seconds"]

_ISO = re.compile(r"(?a)\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2})?(\.\d{1,9})?(Z|[+-]\d{2}:?\d{2})?)?")
_LOOSE = re.compile(
    r"(?a)(\d{4})[-/]?(\d{1,2})?[-/]?(\d{0,2})[Tt\s]*(\d{1,2})?:?(\d{1,2})?:?(\d{1,2})?[.:]?(\d+)?"
    r"\s*(Z|z|[+-]\d{2}:?\d{2})?"
)
_NUMBER = re.compile(r"(?a)\d+(\.\d+)?")


def is_iso(text: str) -> bool:
    """Whether it is an ISO 8601 date, alone or with a time, that exists in the calendar."""
    return _ISO.fullmatch(text) is not None and instant(text) is not None


def instant(text: str) -> datetime | None:
    """The point in time that a text tells; UTC where it names no zone. None: it tells none.

    ISO 8601, its parts from the year on as far as given (``2024``, ``2024/5/3``,
    ``2024-05-03 10:20``), and the form of mails (``Fri, 03 May 2024 10:20:00 GMT``). As in
    browsers the 31st of a shorter month is a day of the next.
    """
    found = _LOOSE.fullmatch(text)
    if found is None:
        return _of_mail(text)
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    if int(day or 1) not in range(1, 32):
        return None
    try:
        whole = datetime(
            int(year),
            int(month or 1),
            1,
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            int(f"{fraction or 0:0<6}"[:6]),
            tzinfo=_zone(zone or "Z"),
        )
        return (whole + timedelta(days=int(day or 1) - 1)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def moment(value: Json) -> datetime | None:
    """The point in time that a field of type datetime holds, in UTC. None: it tells none.

    A text as ``instant`` reads it, or a number, in text or not, of seconds or (above 10^11) of
    milliseconds since 1970.
    """
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value) or len(value) <= 8:
            return instant(value)
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value / 1000 if value > 10**11 else value, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def unix_seconds(value: Json) -> Json:
    """Whole seconds since 1970 for a text that tells a time; all else, numbers too, as it is.

    A text of digits counts as seconds already, and stays a text.
    """
    if not isinstance(value, str) or _NUMBER.fullmatch(value):
        return value
    when = instant(value)
    return value if when is None else _floor(when)


def with_unix_seconds(value: dict[str, Json]) -> dict[str, Json]:
    """A copy whose ISO 8601 texts are seconds since 1970, at any depth of objects, not in lists."""
    return {key: _as_seconds(inner) for key, inner in value.items()}


def _as_seconds(value: Json) -> Json:
    if isinstance(value, dict):
        return with_unix_seconds(value)
    if isinstance(value, str) and _ISO.fullmatch(value):
        when = instant(value)
        return value if when is None else _floor(when)
    return value


def _floor(when: datetime) -> int:
    return (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)


def _zone(text: str) -> timezone:
    if text in "Zz":
        return UTC
    shift = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return timezone(-shift if text[0] == "-" else shift)


def _of_mail(text: str) -> datetime | None:
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def iso_text(value: str | float) -> str | None:
    """The instant as ``2024-05-03T10:20:00.000Z``; numbers are milliseconds since 1970.

    None: it tells no instant.
    """
    when = instant(value) if isinstance(value, str) else datetime.fromtimestamp(value / 1000, UTC)
    if when is None:
        return None
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
