"""The unmodified `segment-analytics-python` sends to a running Penstock."""

from __future__ import annotations

import json
import logging
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from segment.analytics.client import Client
from segment.analytics.request import APIError, post
from segment.analytics.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.running import Row, RunningPenstock

OSLO = timezone(timedelta(hours=2))
ORDERED = datetime(2026, 1, 5, 12, 0, 0, 123000, tzinfo=OSLO)
ORDERED_MS = 1767607200123
LARGEST_EVENT = 32 * 1024


class Sender:
    """An SDK client, and the errors it reported."""

    def __init__(self, penstock: RunningPenstock, write_key: str = "srv-key", **options: Any):
        self.errors: list[tuple[Exception, list[dict[str, Any]]]] = []
        self.client = Client(
            write_key,
            host=penstock.url,
            on_error=lambda error, items: self.errors.append((error, items)),
            **{"upload_interval": 0.1, "timeout": 60, **options},
        )


@pytest.fixture(params=[False, True], ids=["plain", "gzip"])
def sender(penstock: RunningPenstock, request: pytest.FixtureRequest) -> Iterator[Sender]:
    """A client with and without gzip, flushed at the end."""
    sender = Sender(penstock, gzip=request.param)
    yield sender
    sender.client.shutdown()


@pytest.fixture
def user() -> str:
    """A user id no other test has."""
    return f"user-{uuid4()}"


def delivered(sender: Sender) -> None:
    """Wait until everything is sent, and check that nothing of it failed."""
    sender.client.flush()
    assert sender.errors == []


def only_row(penstock: RunningPenstock, table: str, user: str) -> Row:
    """Wait for the one row of a user in a table, and give it."""
    query = f"select *, {_MILLISECONDS} from srv.{table} where user_id = '{user}'"
    rows = penstock.wait_for(query)
    assert len(rows) == 1
    return rows[0]


_MILLISECONDS = ", ".join(
    f'epoch_ms("{column}") as {column}_ms'
    for column in ("timestamp", "original_timestamp", "sent_at", "received_at")
)


def test_track_becomes_a_row_in_tracks_and_one_in_the_events_table(
    penstock: RunningPenstock, sender: Sender, user: str
) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    sender.client.track(
        user,
        "Order Completed",
        {
            "orderId": "o-1",
            "total": Decimal("19.5"),
            "quantity": 3,
            "gift": True,
            "coupon": None,
            "note": "Grüße, 日本 \u2028",
            "orderedAt": ORDERED,
            "deliverOn": date(2026, 1, 7),
            "shipping": {"address": {"city": "Oslo"}},
            "products": [{"sku": "a"}, {"sku": "b"}],
        },
        context={"ip": "203.0.113.7", "userAgent": "till/1", "app": {"version": "2.0"}},
        integrations={"All": False},
        timestamp=ORDERED,
        anonymous_id="anon-1",
        message_id=f"{user}-message",
    )
    delivered(sender)

    track = only_row(penstock, "tracks", user)
    event = only_row(penstock, "order_completed", user)

    for row in (track, event):
        assert row["id"] == f"{user}-message"
        assert row["event"] == "order_completed"
        assert row["event_text"] == "Order Completed"
        assert row["anonymous_id"] == "anon-1"
        assert row["context_library_name"] == "analytics-python"
        assert row["context_library_version"] == VERSION
        assert row["context_ip"] == "203.0.113.7"
        assert row["context_user_agent"] == "till/1"
        assert row["context_app_version"] == "2.0"
        assert row["original_timestamp_ms"] == ORDERED_MS
        assert_corrected_time(row)
        assert milliseconds(row, "received_at") >= before.timestamp() * 1000
    assert "order_id" not in track
    assert event["order_id"] == "o-1"
    assert event["total"] == 19.5
    assert event["quantity"] == 3
    assert event["gift"] is True
    assert event["note"] == "Grüße, 日本 \u2028"
    assert event["shipping_address_city"] == "Oslo"
    assert as_json(event["products"]) == [{"sku": "a"}, {"sku": "b"}]
    assert "coupon" not in event
    [times] = penstock.sql(
        'select epoch_ms("ordered_at") as ordered, epoch_ms("deliver_on") as deliver '
        f"from srv.order_completed where user_id = '{user}'"
    )
    assert times == {"ordered": ORDERED_MS, "deliver": 1767744000000}


def test_identify_becomes_a_row_in_identifies_and_the_users_row(
    penstock: RunningPenstock, sender: Sender, user: str
) -> None:
    later = ORDERED + timedelta(seconds=1)
    first = {"email": "a@toast.test", "plan": "free", "age": 30}
    sender.client.identify(user, first, timestamp=ORDERED)
    sender.client.identify(user, {"plan": "pro"}, timestamp=later, anonymous_id="anon-2")
    delivered(sender)

    identifies = penstock.wait_for(
        f"select email, plan, age, anonymous_id from srv.identifies where user_id = '{user}' "
        'order by "timestamp"',
        lambda rows: len(rows) == 2,
    )
    assert identifies == [
        {"email": "a@toast.test", "plan": "free", "age": 30, "anonymous_id": None},
        {"email": None, "plan": "pro", "age": None, "anonymous_id": "anon-2"},
    ]
    users = penstock.wait_for(
        f"select email, plan, age from srv.users where id = '{user}'",
        lambda rows: bool(rows) and rows[0]["plan"] == "pro",
    )
    assert users == [{"email": "a@toast.test", "plan": "pro", "age": 30}]


def test_page_and_screen_keep_name_category_and_properties(
    penstock: RunningPenstock, sender: Sender, user: str
) -> None:
    sender.client.page(user, "Docs", "Start", {"url": "https://toast.test/docs", "words": 120})
    sender.client.screen(user, name="Basket", properties={"items": 2})
    delivered(sender)

    page = only_row(penstock, "pages", user)
    assert (page["category"], page["name"]) == ("Docs", "Start")
    assert (page["url"], page["words"]) == ("https://toast.test/docs", 120)
    screen = only_row(penstock, "screens", user)
    assert (screen["category"], screen["name"], screen["items"]) == (None, "Basket", 2)


def test_group_becomes_a_row_in_groups_and_the_accounts_row(
    penstock: RunningPenstock, sender: Sender, user: str
) -> None:
    sender.client.group(user, f"{user}-company", {"name": "Toast Ltd", "employees": 12})
    delivered(sender)

    group = only_row(penstock, "groups", user)
    assert group["group_id"] == f"{user}-company"
    assert (group["name"], group["employees"]) == ("Toast Ltd", 12)
    accounts = penstock.wait_for(
        f"select name, employees from srv.accounts where id = '{user}-company'"
    )
    assert accounts == [{"name": "Toast Ltd", "employees": 12}]


def test_alias_keeps_both_ids(penstock: RunningPenstock, sender: Sender, user: str) -> None:
    sender.client.alias(f"{user}-old", user)
    delivered(sender)

    assert only_row(penstock, "aliases", user)["previous_id"] == f"{user}-old"


def test_without_a_timestamp_the_time_of_the_call_counts(
    penstock: RunningPenstock, sender: Sender, user: str
) -> None:
    before = datetime.now(UTC)
    sender.client.track(user, "Toast Burnt")
    after = datetime.now(UTC)
    delivered(sender)

    row = only_row(penstock, "tracks", user)
    original = milliseconds(row, "original_timestamp")
    assert int(before.timestamp() * 1000) <= original <= after.timestamp() * 1000
    assert_corrected_time(row)


def test_numeric_ids_arrive_as_text(penstock: RunningPenstock, sender: Sender) -> None:
    number = uuid4().int >> 66
    sender.client.track(number, "Number Used", message_id=f"m-{number}-{sender.client.gzip}")
    delivered(sender)

    assert only_row(penstock, "number_used", str(number))["user_id"] == str(number)


def test_an_anonymous_event_has_no_user_and_no_ip(
    penstock: RunningPenstock, sender: Sender, user: str
) -> None:
    sender.client.track(None, "Window Shopped", anonymous_id=user)
    delivered(sender)

    [row] = penstock.wait_for(f"select * from srv.window_shopped where anonymous_id = '{user}'")
    assert row["user_id"] is None
    assert "context_ip" not in row, "a server's address says nothing about the person"


def test_integrations_can_keep_an_event_out_of_the_warehouse(
    penstock: RunningPenstock, sender: Sender, user: str
) -> None:
    sender.client.track(user, "Kept Out", integrations={"Warehouses": {"all": False}})
    sender.client.track(user, "Let In", integrations={"Warehouses": {"all": True}, "All": False})
    delivered(sender)

    rows = penstock.wait_for(f"select event_text from srv.tracks where user_id = '{user}'")
    assert rows == [{"event_text": "Let In"}]


def test_the_same_message_id_twice_is_one_row(
    penstock: RunningPenstock, sender: Sender, user: str
) -> None:
    for _ in range(2):
        sender.client.track(user, "Toast Eaten", message_id=f"{user}-twice")
        sender.client.flush()
    sender.client.track(user, "Toast Digested")
    delivered(sender)

    penstock.wait_for(f"select 1 from srv.toast_digested where user_id = '{user}'")
    assert len(penstock.sql(f"select 1 from srv.toast_eaten where user_id = '{user}'")) == 1


def test_the_largest_batch_the_sdk_makes_is_accepted(penstock: RunningPenstock, user: str) -> None:
    """The SDK stops adding at 475,000 bytes, so a batch can have 475,000 + 32,768."""
    sender = Sender(penstock, upload_interval=2)
    sizes = [31_600] * 15 + [LARGEST_EVENT]
    for number, size in enumerate(sizes):
        track_of_size(sender.client, user, number, size)
    sender.client.shutdown()

    assert sender.errors == []
    assert sum(sizes) > 500_000
    [counts] = penstock.wait_for(
        "select count(*) as events, count(distinct received_at) as requests "
        f"from srv.crumbs_counted where user_id = '{user}'",
        lambda rows: rows[0]["events"] == len(sizes),
    )
    assert counts["requests"] == 1


@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
def test_an_unknown_write_key_is_fatal_at_once(
    penstock: RunningPenstock, user: str, gzip: bool
) -> None:
    sender = Sender(penstock, "no-such-key", gzip=gzip)
    sender.client.track(user, "Never Seen")
    sender.client.shutdown()

    [(error, items)] = sender.errors
    assert [item["event"] for item in items] == ["Never Seen"]
    assert_fatal_without_retry(error, 401)


@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
def test_a_body_that_is_not_json_is_fatal_at_once(
    penstock: RunningPenstock, user: str, gzip: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Python writes NaN into JSON as it is; JSON has no such thing."""
    sender = Sender(penstock, gzip=gzip)
    with caplog.at_level(logging.ERROR, "segment"):
        sender.client.track(user, "Not A Number", {"total": float("nan")})
        sender.client.shutdown()

    [(error, _)] = sender.errors
    assert_fatal_without_retry(error, 400)
    assert "after 1 attempts" in caplog.text
    assert "Unknown error" not in caplog.text, "the SDK found no `code` and `message`"


def test_an_oversize_request_is_fatal_at_once(penstock: RunningPenstock, user: str) -> None:
    item = {"type": "track", "event": "Too Much", "userId": user, "properties": {"t": "x" * 900}}
    with pytest.raises(APIError) as raised:
        post("srv-key", penstock.url, batch=[item] * 600)

    assert_fatal_without_retry(raised.value, 400)


def assert_fatal_without_retry(error: Exception, status: int) -> None:
    """The SDK read our code and message, and sent the request once."""
    assert isinstance(error, APIError)
    assert error.status == status
    assert error.code not in (None, "", "unknown")
    assert error.message
    assert error.response.json()["success"] is False
    assert "X-Retry-Count" not in error.response.request.headers


def assert_corrected_time(row: Row) -> None:
    """`timestamp` = received_at - (sent_at - original_timestamp), to a millisecond or two."""
    skew = milliseconds(row, "received_at") - milliseconds(row, "sent_at")
    corrected = milliseconds(row, "original_timestamp") + skew
    assert abs(milliseconds(row, "timestamp") - corrected) <= 2


def milliseconds(row: Row, column: str) -> int:
    """The value of a time column, in milliseconds since 1970."""
    value = row[f"{column}_ms"]
    assert isinstance(value, int)
    return value


def as_json(value: object) -> object:
    """A JSON column, which `penstock sql` may print as text or as what it holds."""
    return json.loads(value) if isinstance(value, str) else value


def track_of_size(client: Client, user: str, number: int, size: int) -> None:
    """Send an event that has exactly `size` bytes the way the SDK counts them."""
    quiet = Client(client.write_key, send=False)

    def message(padding: int) -> dict[str, Any]:
        properties = {"number": number, "crumbs": "x" * padding}
        return {"user_id": user, "event": "Crumbs Counted", "properties": properties}

    _, sample = quiet.track(**message(0))
    client.track(**message(size - len(json.dumps(sample).encode())))
