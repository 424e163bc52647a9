"""Which texts count as a date: ISO 8601, Unix time, and what browsers read as a date.

The last group is wide, as the well-known tools take whatever JavaScript's ``Date`` reads: RFC 2822,
``March 7, 2026``, ``3/7/26 10:00 PM``. The text itself is passed on unchanged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from penstock.destinations.mappings.values import number_in, text_of

__all__ = ["is_date_like"]

_FURTHEST_SECONDS = 8.64e12
_FURTHEST_YEAR = 275_760
_MOST_OF_TIME = (23, 59, 59, 999)
_USUAL = re.compile(
    r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?Z"
)
_PLAIN = re.compile(
    r"[0-9]{4}[-/]?(?:[0-9]{1,2})?[-/]?[0-9]{0,2}[Tt\s]*"
    r"(?:[0-9]{1,2})?:?(?:[0-9]{1,2})?:?(?:[0-9]{1,2})?[.:]?[0-9]*"
)
_ISO = re.compile(
    r"(?:[0-9]{4}|[+-](?!000000)[0-9]{6}|\+000000)(?:-(?P<month>[0-9]{2})(?:-(?P<day>[0-9]{2}))?)?"
)
_ISO_TIME = re.compile(
    r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.(?P<part>[0-9]+))?)?"
    r"(?:[zZ]|[+-](?P<off_hour>[0-9]{2}):?(?P<off_minute>[0-9]{2}))?"
)
_TOKEN = re.compile(r"(?P<number>[0-9]+)|(?P<word>[A-Za-z]+)|(?P<space>\s+)|(?P<sign>.)", re.S)
_PARENTHESES = re.compile(r"\([^()]*\)")
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_HALVES = ("am", "pm")
_ZONES = ["ut", "utc", "z", "gmt", "cdt", "cst", "edt", "est", "mdt", "mst", "pdt", "pst"]


def is_date_like(text: str) -> bool:
    """Whether ``text`` names a moment or a day."""
    if _USUAL.fullmatch(text):
        return True
    number = number_in(text)
    if number is not None and text_of(number) == text:
        return abs(number) <= _FURTHEST_SECONDS
    if _PLAIN.fullmatch(text):
        return True
    day, separator, time = text.replace("t", "T").partition("T")
    found = _ISO.fullmatch(day)
    if found and _month_and_day(found["month"], found["day"]) and (separator or not time):
        return not separator or _is_iso_time(time)
    return _Reading().of(text)


def _month_and_day(month: str | None, day: str | None) -> bool:
    return 1 <= int(month or 1) <= 12 and 1 <= int(day or 1) <= 31


def _is_iso_time(text: str) -> bool:
    found = _ISO_TIME.fullmatch(text)
    if found is None:
        return False
    hour, *rest = (int(found[name] or 0) for name in ("hour", "minute", "second", "part"))
    offset = int(found["off_hour"] or 0) <= 23 and int(found["off_minute"] or 0) <= 59
    return offset and (
        (hour == 24 and not any(rest)) or (hour <= 23 and rest[0] <= 59 and rest[1] <= 59)
    )


@dataclass
class _Reading:
    """A date read word by word, as browsers do."""

    days: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    month: bool = False
    half: bool = False
    zone: bool = False
    tokens: list[tuple[str, str]] = field(default_factory=list)

    def of(self, text: str) -> bool:
        """Whether all of ``text`` makes a date."""
        while (shorter := _PARENTHESES.sub(" ", text)) != text:
            text = shorter
        text = text.partition("(")[0]
        self.tokens = [(found.lastgroup or "", found[0]) for found in _TOKEN.finditer(text)]
        while self.tokens:
            kind, token = self.tokens.pop(0)
            if kind == "number" and not self._number(int(token[:9])):
                return False
            if kind == "word" and not self._word(token.lower()):
                return False
            if kind == "sign" and not self._sign(token):
                return False
        return self._is_whole()

    def _next(self, *signs: str) -> bool:
        return bool(self.tokens) and self.tokens[0][1] in signs

    def _number(self, number: int) -> bool:
        if self._next(":"):
            self.tokens.pop(0)
            self.times.append(number)
            return len(self.times) <= 4
        if self.times and len(self.times) < 4 and number <= _MOST_OF_TIME[len(self.times)]:
            return self._last_of_time(number)
        self.days.append(number)
        if self._next("-"):
            self.tokens.pop(0)
        return len(self.days) <= 3

    def _last_of_time(self, number: int) -> bool:
        self.times.append(number)
        if self._next(".") and len(self.tokens) > 1 and self.tokens[1][0] == "number":
            del self.tokens[:2]
        self.times += [0] * (4 - len(self.times))
        return not self.tokens or self.tokens[0][0] == "space" or self._next("+", "-", "z", "Z")

    def _word(self, word: str) -> bool:
        if word in _HALVES and self.times:
            self.half = True
        elif word[:3] in _MONTHS:
            self.month = True
            if self._next("-"):
                self.tokens.pop(0)
        elif word in _ZONES and (self.days or self.times):
            self.zone = True
        else:
            read = bool(self.days or self.times)
            return not read and not (self.tokens and self.tokens[0][0] == "number")
        return True

    def _sign(self, sign: str) -> bool:
        if sign in "+-" and (self.zone or self.times):
            return self._offset()
        return not (sign in "+-)" and (self.days or self.times))

    def _offset(self) -> bool:
        length = 0
        if self.tokens and self.tokens[0][0] == "number":
            length = len(self.tokens.pop(0)[1])
        if self._next(":"):
            self.tokens.pop(0)
            if self.tokens and self.tokens[0][0] == "number":
                self.tokens.pop(0)
            return True
        return 1 <= length <= 4

    def _is_whole(self) -> bool:
        if not self.days:
            return False
        first, second, third = (*self.days, 1, 1)[:3]
        year_first = not 1 <= first <= 31
        if self.month:
            year, day, month = (first, second, 1) if year_first else (second, first, 1)
        elif year_first:
            year, month, day = first, second, third
        else:
            month, day, year = first, second, third
        fits = 1 <= month <= 12 and 1 <= day <= 31 and year < _FURTHEST_YEAR
        return fits and self._is_time()

    def _is_time(self) -> bool:
        hour, minute, second = (*self.times, 0, 0, 0)[:3]
        if self.half and hour > 12:
            return False
        if hour == 24:
            return not minute and not second
        return hour <= 23 and minute <= 59 and second <= 59
