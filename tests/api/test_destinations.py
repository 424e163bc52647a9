"""Destinations by the API: what there is, secrets, trying one, dead letters and replays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api.calling import Client

HOOK = {
    "slug": "api_hook",
    "type": "webhook",
    "settings": {"url": "https://hook.example.com/x", "shared_secret": "hunter2-hunter2"},
    "sources": ["shop"],
    "enabled": False,
}
EVENT = {"type": "track", "event": "Toast Buttered", "userId": "u1", "messageId": "t1"}


@pytest.fixture
def hook(admin: Client) -> Iterator[str]:
    made = admin("POST", "/destinations", HOOK)
    assert made.status == 201, made.body
    yield "/destinations/api_hook"
    assert admin("DELETE", "/destinations/api_hook").status == 204
    assert admin("GET", "/destinations/api_hook").code == "not_found"


def test_the_catalogue(admin: Client) -> None:
    tools = {tool["slug"]: tool for tool in admin("GET", "/catalog").body["items"]}
    assert tools["webhook"]["mode"] == "cloud"
    webhook = admin("GET", "/catalog/webhook").body
    settings = {each["key"]: each for each in webhook["settings"]}
    assert (settings["url"]["required"], settings["shared_secret"]["secret"]) == (True, True)
    assert webhook["actions"][0]["fields"][0]["default"] == {"@path": "$."}
    assert admin("GET", "/catalog/webhok").code == "not_found"


def test_secrets_are_never_shown_and_kept_when_the_mask_comes_back(
    admin: Client, hook: str
) -> None:
    assert admin("POST", "/destinations", HOOK).code == "exists"
    shown = admin("GET", hook)
    assert shown.body["settings"]["shared_secret"] == "********"
    patched = admin("PATCH", hook, {"name": "Hook", "settings": {"method": "PUT"}}).body
    assert (patched["name"], patched["settings"]["method"]) == ("Hook", "PUT")
    assert patched["settings"]["shared_secret"] == "********"
    whole = {key: value for key, value in shown.body.items() if key != "slug"}
    replaced = admin("PUT", hook, whole)
    assert (replaced.status, replaced.body) == (200, shown.body)
    gone = admin("PATCH", hook, {"settings": {"shared_secret": None}}).body
    assert "shared_secret" not in gone["settings"]
    assert b"hunter2" not in b"".join(
        admin("GET", path).content for path in ("/destinations", "/workspace", "/audit?limit=100")
    )


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({"settings": {"url": "ftp://x"}}, "refused", "url"),
        ({"settings": {"sekret": "x"}}, "refused", "sekret"),
        ({"sources": ["nope"]}, "refused", "no source nope"),
        ({"filters": [{"drop": "event = "}]}, "refused", "position"),
        ({"mappings": [{"action": "send", "trigger": "type ="}]}, "refused", "position"),
        ({"mappings": [{"trigger": "x"}]}, "invalid_request", "action"),
        ({"filters": [{"dorp": "x"}]}, "invalid_request", "dorp"),
    ],
)
def test_what_is_wrong_is_named(
    admin: Client, hook: str, change: dict[str, Any], code: str, says: str
) -> None:
    answer = admin("PATCH", hook, change)
    assert answer.code == code
    assert says in str(answer.body["error"])
    assert admin("GET", hook).body["settings"]["url"] == HOOK["settings"]["url"]  # type: ignore[index]


def test_trying_it_without_sending(admin: Client, hook: str) -> None:
    body = {"event": EVENT, "source": "shop", "dry_run": True}
    tried = admin("POST", f"{hook}/test", body)
    assert tried.status == 200, tried.body
    (attempt,) = tried.body["attempts"]
    (request,) = attempt["requests"]
    assert (request["method"], request["url"]) == ("POST", "https://hook.example.com/x")
    assert "Toast Buttered" in request["body"]
    assert tried.body["withheld"] == "" and not attempt["delivered"]
    assert b"hunter2" not in tried.content
    flagged = {**EVENT, "integrations": {"Webhook": False}}
    withheld = admin("POST", f"{hook}/test", {**body, "event": flagged}).body
    assert withheld["withheld"] == "FILTERED_BY_INTEGRATIONS_OBJECT"
    assert len(withheld["attempts"]) == 1
    newest = admin("POST", f"{hook}/test", {"dry_run": True}).body
    assert newest["event"]["event"] == "Toast Buttered"


def test_trying_an_address_of_the_own_network_is_refused(admin: Client, hook: str) -> None:
    admin("PATCH", hook, {"settings": {"url": "http://127.0.0.1:9/x"}})
    (attempt,) = admin("POST", f"{hook}/test", {"event": EVENT}).body["attempts"]
    assert not attempt["delivered"]
    assert "private" in attempt["message"].lower() or "PRIVATE" in attempt["code"], attempt


def test_dead_letters_replays_and_figures(admin: Client, hook: str) -> None:
    assert admin("GET", f"{hook}/dead-letters").body == {"items": [], "next": None}
    for verb in ("retry", "discard"):
        for ids in (None, [1, 2]):
            answer = admin("POST", f"{hook}/dead-letters/{verb}", {"ids": ids})
            assert answer.body == {"events": 0}
    now = datetime.now(UTC)
    span = {"start": (now - timedelta(hours=1)).isoformat(), "end": now.isoformat()}
    made = admin("POST", f"{hook}/replays", {**span, "events": ["Toast Buttered"]})
    assert made.status == 201
    (replay,) = admin("GET", f"{hook}/replays").body["items"]
    assert (replay["id"], replay["events"]) == (made.body["id"], ["Toast Buttered"])
    admin("DELETE", f"{hook}/replays/{made.body['id']}")
    again = admin("DELETE", f"{hook}/replays/{made.body['id']}")
    assert again.code == "not_found"
    backwards = {"start": span["end"], "end": span["start"]}
    assert admin("POST", f"{hook}/replays", backwards).code == "refused"
    counts = admin("GET", f"{hook}/deliveries?by=total").body
    assert counts["items"] == [] or counts["items"][0]["destination"] == "api_hook"
    assert admin("GET", f"{hook}/samples").status == 200
    assert admin("GET", "/deliveries").status == 200
    late = "2030-01-01T00:00:00Z"
    assert admin("GET", f"{hook}/deliveries?start={late}").code == "invalid_request"


def test_functions(admin: Client) -> None:
    body = {"file": "loyal.py", "settings": {"key": "function-secret", "limit": 3}}
    put = admin("PUT", "/functions/loyal", body)
    assert (put.status, put.body["settings"]) == (200, {"key": "********", "limit": 3})
    assert admin("PUT", "/functions/loyal", {"file": "../x.py"}).code == "refused"
    assert [each["slug"] for each in admin("GET", "/functions").body["items"]] == ["loyal"]
    assert admin("GET", "/functions/loyal").body == put.body
    assert admin("DELETE", "/functions/loyal").status == 204
    assert admin("DELETE", "/functions/loyal").code == "not_found"


def test_a_workspace_with_destinations_needs_the_scope(
    admin: Client, with_scopes: Callable[..., Client]
) -> None:
    wanted = {"destinations": [{**HOOK, "slug": "whole_hook"}], "dry_run": True}
    assert with_scopes("sources:write")("POST", "/workspace/apply", wanted).code == "forbidden"
    both = with_scopes("sources:write", "destinations:write")
    (change,) = both("POST", "/workspace/apply", wanted).body["changes"]
    assert (change["action"], change["kind"]) == ("create", "destinations")
    assert admin("GET", "/destinations/whole_hook").code == "not_found"
    twice = {"destinations": [HOOK, HOOK]}
    assert "stands twice" in admin("POST", "/workspace/apply", twice).body["error"]["message"]
