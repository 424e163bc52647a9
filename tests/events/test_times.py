from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.events import parse_instant, true_time

NOON = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("sent", "instant"),
    [
        ("2024-01-02T03:04:05.678Z", "2024-01-02T03:04:05.678+00:00"),
        ("2024-01-02T03:04:05.678+00:00", "2024-01-02T03:04:05.678+00:00"),
        ("2024-01-02T03:04:05.678901+05:30", "2024-01-01T21:34:05.678901+00:00"),
        ("2024-01-02T03:04:05.123456789Z", "2024-01-02T03:04:05.123456+00:00"),
        ("2024-01-02T03:04:05", "2024-01-02T03:04:05+00:00"),
        ("2024-01-02 03:04:05", "2024-01-02T03:04:05+00:00"),
        ("2024-01-02 03:04:05 UTC", "2024-01-02T03:04:05+00:00"),
        ("2024-01-02T03:04Z", "2024-01-02T03:04:00+00:00"),
        ("2024-01-02", "2024-01-02T00:00:00+00:00"),
        ("2024/1/2", "2024-01-02T00:00:00+00:00"),
        ("20240102", "2024-01-02T00:00:00+00:00"),
        ("20240102T030405Z", "2024-01-02T03:04:05+00:00"),
        ("2024-W01-2", "2024-01-02T00:00:00+00:00"),
        # the unpadded sample of Segment's own documentation
        ("2015-2-02T00:30:12.984Z", "2015-02-02T00:30:12.984+00:00"),
        ("2024-1-2T3:4:5Z", "2024-01-02T03:04:05+00:00"),
        ("2024-1-2T3:4:5+5", "2024-01-01T22:04:05+00:00"),
        ("2024-1-2T3:4:5+530", "2024-01-01T21:34:05+00:00"),
        ("2024-1-2T3:4:5-05:30", "2024-01-02T08:34:05+00:00"),
        ("  2024-01-02T03:04:05,5z ", "2024-01-02T03:04:05.5+00:00"),
        ("Tue, 02 Jan 2024 03:04:05 GMT", "2024-01-02T03:04:05+00:00"),
        ("Tue, 02 Jan 2024 03:04:05 +0100", "2024-01-02T02:04:05+00:00"),
        ("2024-01-02T03:04:05+00:00:30", "2024-01-02T03:03:35+00:00"),
        (1704164645, "2024-01-02T03:04:05+00:00"),
        (1704164645.5, "2024-01-02T03:04:05.5+00:00"),
        (1704164645678, "2024-01-02T03:04:05.678+00:00"),
        ("1704164645", "2024-01-02T03:04:05+00:00"),
        ("1704164645678", "2024-01-02T03:04:05.678+00:00"),
        # to the ISO parser these thirteen digits are a day of the year 1704
        ("1704063012345", "2023-12-31T22:50:12.345+00:00"),
        (0, "1970-01-01T00:00:00+00:00"),
        (-1, "1969-12-31T23:59:59+00:00"),
    ],
)
def test_reads_what_clients_send_as_dates(sent: Any, instant: str) -> None:
    assert parse_instant(sent) == at(instant)


@pytest.mark.parametrize(
    "sent",
    [
        None, True, False, {}, [], "", "soon", "2024-13-01", "2024-02-30T00:00:00Z",
        "2024-01-02T25:00:00Z", "2024-01-02T03:04:05+99:00", "12345", "1" * 400, "x" * 70,
        10**400, -(10**400), 1e300, float("nan"), float("inf"), 10**17,
        "0001-01-01T00:00:00+00:00:30",
    ],
)  # fmt: skip
def test_what_is_no_date_is_none(sent: Any) -> None:
    assert parse_instant(sent) is None


@given(st.text(max_size=70) | st.integers() | st.floats() | st.dates().map(str))
def test_anything_is_an_aware_instant_that_json_can_hold_or_none(sent: Any) -> None:
    instant = parse_instant(sent)
    if instant is not None:
        assert datetime.fromisoformat(msgspec.json.decode(msgspec.json.encode(instant))) == instant


DIGITS_AND_MARKS = st.text("0123456789-/:T +.,ZUTCGM", max_size=40)


@given(DIGITS_AND_MARKS)
def test_almost_dates_never_fail(sent: str) -> None:
    parse_instant(sent)


@pytest.mark.parametrize(
    ("original", "sent", "expected"),
    [
        (None, None, NOON),
        (None, NOON, NOON),
        (NOON - timedelta(hours=1), None, NOON - timedelta(hours=1)),
        # the client's clock is a day ahead: it sent 20 ms after the event
        (
            NOON + timedelta(days=1),
            NOON + timedelta(days=1, milliseconds=20),
            NOON - timedelta(milliseconds=20),
        ),
        # the client's clock is a year behind
        (NOON - timedelta(days=365), NOON - timedelta(days=365), NOON),
        # sent before it happened: the result lies in the future, as the documentation admits
        (NOON, NOON - timedelta(hours=1), NOON + timedelta(hours=1)),
        # a sum outside of the years 1 to 9999
        (NOON, datetime(1, 1, 1, tzinfo=UTC), NOON + (NOON - datetime(1, 1, 1, tzinfo=UTC))),
        (at("9999-12-31T00:00:00+00:00"), at("0001-01-01T00:00:00+00:00"), "original"),
        (at("0001-01-01T00:00:00+05:00"), None, NOON),
    ],
)
def test_true_time(original: datetime | None, sent: datetime | None, expected: Any) -> None:
    assert true_time(original, sent, NOON) == (original if expected == "original" else expected)


def test_true_time_is_utc() -> None:
    oslo = datetime(2026, 1, 5, 11, tzinfo=timezone(timedelta(hours=1)))
    assert true_time(oslo, None, NOON).utcoffset() == timedelta()
    assert true_time(oslo, oslo, NOON).utcoffset() == timedelta()
