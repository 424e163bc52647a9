"""The unmodified `@segment/analytics-next` in Chromium sends to a running Penstock.

Nothing is given to the SDK but a write key and Penstock's address; the settings document that
Penstock serves makes it work. The page is of another origin, so each POST has a CORS preflight.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from tests.browser.chromium import FOLDER, Visit, visit

if TYPE_CHECKING:
    from tests.browser.chromium import Shop, Step
    from tests.running import Row, RunningPenstock

SDK_VERSION = json.loads((FOLDER / "package.json").read_text())["dependencies"][
    "@segment/analytics-next"
]
STANDARD: dict[str, Any] = {}
LETTERS = {"/v1/p", "/v1/t", "/v1/i", "/v1/g", "/v1/s", "/v1/a"}


def batching(size: int, timeout_ms: int) -> dict[str, Any]:
    """Load options that let the SDK send batches."""
    strategy = {"strategy": "batching", "config": {"size": size, "timeout": timeout_ms}}
    return {"integrations": {"Segment.io": {"deliveryStrategy": strategy}}}


@pytest.fixture
def user() -> str:
    """A user id no other test has."""
    return f"user-{uuid4()}"


@pytest.mark.parametrize(
    ("options", "paths"),
    [
        pytest.param(STANDARD, LETTERS, id="standard"),
        pytest.param(batching(5, 500), {"/v1/b"}, id="batching"),
    ],
)
def test_every_call_becomes_its_rows(
    penstock: RunningPenstock, shop: Shop, user: str, options: dict[str, Any], paths: set[str]
) -> None:
    address = shop.url("/bread?utm_source=news&utm_campaign=spring&utm_creative=crust")
    steps: list[Step] = [
        ["open", address],
        ["who"],
        ["call", "page", "Shop", "Bread", {"shelf": 3}],
        ["call", "track", "Product Viewed", {"sku": "rye", "price": 4.5, "tags": ["new", "dark"]}],
        ["call", "identify", user, {"email": "a@toast.test", "address": {"city": "Oslo"}}],
        ["call", "group", f"{user}-company", {"employees": 12}],
        ["call", "screen", "App", "Basket", {"items": 2}],
        ["call", "track", "Order Completed", {"total": 9}],
        ["call", "alias", f"{user}-new"],
        ["answered", 7],
    ]
    with visit(penstock.url, "web-key", options, steps) as seen:
        assert_only_ours(seen, penstock, shop)
        assert {post.path for post in seen.posts} == paths
        anonymous = str(seen.anonymous_id)
        rows = {table: only_row(penstock, table, anonymous) for table in _TABLES}

    for row in rows.values():
        assert row["anonymous_id"] == anonymous
        assert str(row["id"]).startswith("ajs-next-")
        assert row["context_page_url"] == address
        assert row["context_page_path"] == "/bread"
        assert row["context_page_title"] == "Toast shop"
        assert row["context_library_name"] == "analytics.js"
        assert row["context_library_version"] == f"npm:next-{SDK_VERSION}"
        assert row["context_user_agent"] == seen.user_agent
        assert row["context_ip"] == "127.0.0.1"
        assert row["context_campaign_name"] == "spring"
        assert row["context_campaign_source"] == "news"
        assert row["context_campaign_creative"] == "crust"
        assert row["received_at"] is not None
    page, viewed, identify, group, screen, ordered, alias = rows.values()
    assert (page["category"], page["name"], page["shelf"]) == ("Shop", "Bread", 3)
    assert (page["url"], page["path"]) == (address, "/bread")
    assert page["user_id"] is None
    assert (viewed["event_text"], viewed["sku"], viewed["price"]) == ("Product Viewed", "rye", 4.5)
    assert as_json(viewed["tags"]) == ["new", "dark"]
    assert viewed["user_id"] is None
    assert (identify["email"], identify["address_city"]) == ("a@toast.test", "Oslo")
    assert (group["group_id"], group["employees"]) == (f"{user}-company", 12)
    assert (screen["category"], screen["name"], screen["items"]) == ("App", "Basket", 2)
    assert ordered["total"] == 9
    assert {row["user_id"] for row in (identify, group, screen, ordered)} == {user}
    assert (alias["user_id"], alias["previous_id"]) == (user, user), "the SDK drops the new id"
    [person] = penstock.wait_for(f"select * from web.users where id = '{user}'")
    assert person["email"] == "a@toast.test"
    assert tracks_of(penstock, anonymous) == ["Order Completed", "Product Viewed"]


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({}, id="plain"),
        pytest.param({"credentials": "include"}, id="credentials"),
        pytest.param({"headers": {"x-api-key": "k", "content-type": "application/json"}}, id="own"),
    ],
)
def test_the_preflight_of_what_a_site_may_configure_is_granted(
    penstock: RunningPenstock, shop: Shop, config: dict[str, Any]
) -> None:
    options = {"integrations": {"Segment.io": {"deliveryStrategy": {"config": config}}}}
    steps: list[Step] = [["open", shop.url("/")], ["who"], ["call", "track", "Asked First"]]
    with visit(penstock.url, "web-key", options, [*steps, ["answered", 1]]) as seen:
        assert ("OPTIONS", "/v1/t") in [(each.method, each.path) for each in seen.requests]
        assert_only_ours(seen, penstock, shop)
        penstock.wait_for(tracks_query(seen.anonymous_id))


def test_the_sdk_reports_nothing_elsewhere_when_time_passes(
    penstock: RunningPenstock, shop: Shop
) -> None:
    """Every 30 s it sends metrics of its own to Segment, unless the settings say otherwise."""
    steps: list[Step] = [
        ["fakeTime"],
        ["open", shop.url("/")],
        ["who"],
        ["call", "track", "Time Passed"],
        ["pass", 65_000],
        ["call", "track", "Time Passed"],
        ["answered", 2],
    ]
    with visit(penstock.url, "web-key", STANDARD, steps) as seen:
        assert_only_ours(seen, penstock, shop)


def test_an_alias_of_an_anonymous_visitor_names_both_ids(
    penstock: RunningPenstock, shop: Shop, user: str
) -> None:
    steps: list[Step] = [["open", shop.url("/")], ["who"], ["call", "alias", user]]
    with visit(penstock.url, "web-key", STANDARD, [*steps, ["answered", 1]]) as seen:
        alias = only_row(penstock, "aliases", str(seen.anonymous_id))
    assert (alias["user_id"], alias["previous_id"]) == (user, seen.anonymous_id)


def test_a_load_of_batched_events_arrives_once_each(penstock: RunningPenstock, shop: Shop) -> None:
    steps: list[Step] = [["open", shop.url("/")], ["who"]]
    steps += [["callEach", "track", "Step Taken", [{"step": step} for step in range(23)]]]
    with visit(penstock.url, "web-key", batching(5, 500), [*steps, ["answered", 23]]) as seen:
        assert_only_ours(seen, penstock, shop)
        assert max(len(post.events) for post in seen.posts) >= 5
    rows = penstock.wait_for(
        f"select step from web.step_taken where anonymous_id = '{seen.anonymous_id}' order by step",
        lambda rows: len(rows) == 23,
    )
    assert [row["step"] for row in rows] == list(range(23))


@pytest.mark.parametrize("exit_step", ["leave", "close"])
def test_a_batch_is_flushed_when_the_page_goes_away(
    penstock: RunningPenstock, shop: Shop, exit_step: str
) -> None:
    """It leaves as a keepalive fetch, its preflight included, when the page is gone already."""
    steps: list[Step] = [["open", shop.url("/")], ["who"]]
    steps += [["call", "track", f"Flushed {number}"] for number in range(3)]
    steps += [["leave", shop.url("/elsewhere")] if exit_step == "leave" else ["close"]]
    with visit(penstock.url, "web-key", batching(100, 60_000), steps) as seen:
        rows = penstock.wait_for(tracks_query(seen.anonymous_id), lambda rows: len(rows) == 3)
    assert [row["event_text"] for row in rows] == ["Flushed 0", "Flushed 1", "Flushed 2"]
    assert_no_other_host(seen, penstock, shop)


def test_a_batch_sent_on_hide_and_again_on_return_is_stored_once(
    penstock: RunningPenstock, shop: Shop
) -> None:
    """The SDK keeps its buffer on hide, and sends the same events again when the time is up."""
    steps: list[Step] = [
        ["fakeTime"],
        ["open", shop.url("/")],
        ["who"],
        ["call", "track", "Sent Twice"],
        ["turn", "hidden"],
        ["answered", 1],
        ["turn", "visible"],
        ["pass", 100_000],
        ["answered", 2],
        ["call", "track", "Sent Later"],
        ["pass", 100_000],
        ["answered", 3],
    ]
    with visit(penstock.url, "web-key", batching(100, 100_000), steps) as seen:
        assert_only_ours(seen, penstock, shop)
        sent = [event["event"] for post in seen.posts for event in post.events]
        assert sent == ["Sent Twice", "Sent Twice", "Sent Later"]
        rows = penstock.wait_for(
            tracks_query(seen.anonymous_id),
            lambda rows: {"event_text": "Sent Later"} in rows,
        )
    assert [row["event_text"] for row in rows] == ["Sent Later", "Sent Twice"]


def test_an_event_whose_answer_is_lost_is_sent_again_and_stored_once(
    penstock: RunningPenstock, shop: Shop
) -> None:
    """The SDK keeps what is in flight in localStorage, and sends it again on the next page."""
    steps: list[Step] = [
        ["open", shop.url("/")],
        ["who"],
        ["callUnanswered", "track", "Link Followed"],
        ["leave", shop.url("/elsewhere")],
        ["open", shop.url("/next")],
        ["answered", 1],
        ["call", "track", "Page Reached"],
        ["answered", 2],
    ]
    with visit(penstock.url, "web-key", STANDARD, steps) as seen:
        sent = [
            (event["event"], event["messageId"]) for post in seen.posts for event in post.events
        ]
        assert [name for name, _ in sent] == ["Link Followed", "Link Followed", "Page Reached"]
        assert sent[0] == sent[1]
        rows = penstock.wait_for(
            tracks_query(seen.anonymous_id),
            lambda rows: {"event_text": "Page Reached"} in rows,
        )
    assert [row["event_text"] for row in rows] == ["Link Followed", "Page Reached"]
    assert_no_other_host(seen, penstock, shop)


_TABLES = (
    "pages",
    "product_viewed",
    "identifies",
    "groups",
    "screens",
    "order_completed",
    "aliases",
)


def only_row(penstock: RunningPenstock, table: str, anonymous: str) -> Row:
    """Wait for the one row of a visitor in a table, and give it."""
    rows = penstock.wait_for(f"select * from web.{table} where anonymous_id = '{anonymous}'")
    assert len(rows) == 1
    return rows[0]


def tracks_query(anonymous: str | None) -> str:
    """The query for the names of a visitor's events, in alphabetical order."""
    return f"select event_text from web.tracks where anonymous_id = '{anonymous}' order by 1"


def tracks_of(penstock: RunningPenstock, anonymous: str) -> list[object]:
    """The names of a visitor's events, in alphabetical order."""
    return [row["event_text"] for row in penstock.sql(tracks_query(anonymous))]


def assert_only_ours(seen: Visit, penstock: RunningPenstock, shop: Shop) -> None:
    """Each request went to the shop or to Penstock and was answered with success."""
    assert_no_other_host(seen, penstock, shop)
    assert seen.errors == []
    for request in seen.requests:
        assert request.failure is None, request
        assert request.status in (200, 204), request


def assert_no_other_host(seen: Visit, penstock: RunningPenstock, shop: Shop) -> None:
    """No request went to Segment's hosts or any others."""
    hosts = {request.host for request in seen.requests}
    assert hosts == {shop.host, urlsplit(penstock.url).netloc}


def as_json(value: object) -> object:
    """A JSON column, which `penstock sql` may print as text or as what it holds."""
    return json.loads(value) if isinstance(value, str) else value
