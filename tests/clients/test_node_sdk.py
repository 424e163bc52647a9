"""The unmodified `@segment/analytics-node` sends to a running Penstock."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tests.requirements import require_npm_packages, require_tool

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.running import Row, RunningPenstock

    Call = tuple[str, dict[str, Any]]
    Report = dict[str, Any]
    Send = Callable[..., Report]

FOLDER = Path(__file__).parent / "node"
SDK_VERSION = json.loads((FOLDER / "package.json").read_text())["dependencies"][
    "@segment/analytics-node"
]
SEND_LIMIT_SECONDS = 180
CALLED = "2026-01-05T10:00:00.123Z"
CALLED_MS = 1767607200123


@pytest.fixture(scope="module")
def send(penstock: RunningPenstock) -> Send:
    """Send calls with the Node SDK in a Node process of its own, and give its report."""
    node = require_tool("node")
    require_npm_packages(FOLDER)

    def send_calls(*calls: Call, write_key: str = "srv-key", **settings: Any) -> Report:
        order = {
            "writeKey": write_key,
            "host": penstock.url,
            "settings": settings,
            "calls": calls,
        }
        done = subprocess.run(
            [node, "send.mjs"],
            cwd=FOLDER,
            input=json.dumps(order),
            capture_output=True,
            text=True,
            timeout=SEND_LIMIT_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        report: Report = json.loads(done.stdout)
        return report

    return send_calls


@pytest.fixture
def user() -> str:
    """A user id no other test has."""
    return f"user-{uuid4()}"


def test_every_call_becomes_its_rows(penstock: RunningPenstock, send: Send, user: str) -> None:
    who = {"userId": user, "timestamp": {"$date": CALLED}}
    report = send(
        ("identify", {**who, "traits": {"email": "a@toast.test", "address": {"city": "Oslo"}}}),
        ("track", {**who, "event": "Order Completed", "properties": {"total": 19.5, "no": None}}),
        ("page", {**who, "category": "Docs", "name": "Start", "properties": {"words": 120}}),
        ("screen", {**who, "name": "Basket", "properties": {"items": 2}}),
        ("group", {**who, "groupId": f"{user}-company", "traits": {"employees": 12}}),
        ("alias", {**who, "previousId": f"{user}-old"}),
    )

    assert report["errors"] == []
    assert report["requests"] == [{"status": 200, "events": 6, "retry": None}]
    rows = {table: only_row(penstock, table, user) for table in _TABLES}
    for table, row in rows.items():
        assert str(row["id"]).startswith("node-next-"), table
        assert row["context_library_name"] == "@segment/analytics-node"
        assert row["context_library_version"] == SDK_VERSION
        assert row["anonymous_id"] is None
        assert row["original_ms"] == CALLED_MS
        assert "context_ip" not in row, "a server's address says nothing about the person"
    identify, track, event, page, screen, group, alias = rows.values()
    assert (identify["email"], identify["address_city"]) == ("a@toast.test", "Oslo")
    assert track["id"] == event["id"]
    assert (event["event"], event["event_text"]) == ("order_completed", "Order Completed")
    assert (event["total"], "no" in event) == (19.5, False)
    assert (page["category"], page["name"], page["words"]) == ("Docs", "Start", 120)
    assert (screen["category"], screen["name"], screen["items"]) == (None, "Basket", 2)
    assert (group["group_id"], group["employees"]) == (f"{user}-company", 12)
    assert alias["previous_id"] == f"{user}-old"
    [account] = penstock.wait_for(f"select * from srv.accounts where id = '{user}-company'")
    assert account["employees"] == 12
    [person] = penstock.wait_for(f"select * from srv.users where id = '{user}'")
    assert person["email"] == "a@toast.test"


def test_context_integrations_and_ids_are_kept(
    penstock: RunningPenstock, send: Send, user: str
) -> None:
    context = {"ip": "203.0.113.7", "page": {"url": "https://toast.test/"}, "traits": {"vip": True}}
    report = send(
        (
            "track",
            {
                "anonymousId": user,
                "event": "Toast Ordered",
                "context": context,
                "integrations": {"All": False},
                "messageId": f"{user}-message",
            },
        ),
        ("track", {"anonymousId": user, "event": "Kept", "integrations": _NO_WAREHOUSE}),
        ("track", {"anonymousId": user, "event": "Toast Ordered"}),
    )

    assert report["errors"] == []
    rows = penstock.wait_for(
        f"select * from srv.tracks where anonymous_id = '{user}'", lambda rows: len(rows) == 2
    )
    row = next(row for row in rows if row["id"] == f"{user}-message")
    assert row["user_id"] is None
    assert row["context_ip"] == "203.0.113.7"
    assert row["context_page_url"] == "https://toast.test/"
    assert row["context_traits_vip"] is True
    assert {row["event_text"] for row in rows} == {"Toast Ordered"}


def test_many_events_arrive_once_each_in_batches(
    penstock: RunningPenstock, send: Send, user: str
) -> None:
    calls = [
        ("track", {"userId": user, "event": "Step Taken", "properties": {"step": step}})
        for step in range(100)
    ]
    report = send(*calls, flushAt=40)

    assert [request["status"] for request in report["requests"]] == [200, 200, 200]
    rows = penstock.wait_for(
        f"select step from srv.step_taken where user_id = '{user}' order by step",
        lambda rows: len(rows) == len(calls),
    )
    assert [row["step"] for row in rows] == list(range(100))


def test_an_event_without_ids_does_not_harm_its_neighbours(
    penstock: RunningPenstock, send: Send, user: str
) -> None:
    """The SDK lets a group call pass that has neither userId nor anonymousId."""
    report = send(
        ("track", {"userId": user, "event": "Before It"}),
        ("group", {"groupId": f"{user}-company"}),
        ("track", {"userId": user, "event": "After It"}),
    )

    assert report["requests"] == [{"status": 200, "events": 3, "retry": None}]
    rows = penstock.wait_for(
        f"select event from srv.tracks where user_id = '{user}' order by event",
        lambda rows: len(rows) == 2,
    )
    assert [row["event"] for row in rows] == ["after_it", "before_it"]


def test_an_unknown_write_key_is_not_retried(send: Send, user: str) -> None:
    report = send(("track", {"userId": user, "event": "Never Seen"}), write_key="no-such-key")

    assert report["requests"] == [{"status": 401, "events": 1, "retry": None}]
    assert len(report["errors"]) == 1
    assert "401" in report["errors"][0]


_NO_WAREHOUSE = {"Warehouses": {"all": False}}
_TABLES = ("identifies", "tracks", "order_completed", "pages", "screens", "groups", "aliases")


def only_row(penstock: RunningPenstock, table: str, user: str) -> Row:
    """Wait for the one row of a user in a table, and give it."""
    rows = penstock.wait_for(
        'select *, epoch_ms("original_timestamp") as original_ms '
        f"from srv.{table} where user_id = '{user}'"
    )
    assert len(rows) == 1
    return rows[0]
