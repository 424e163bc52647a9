"""What the paths do, and that every failure has one shape."""

from __future__ import annotations

import base64
import http.client
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.api.calling import Client
from tests.running import RunningPenstock


def test_sources(admin: Client) -> None:
    made = admin("POST", "/sources", {"slug": "app", "name": "App"})
    assert made.status == 201
    (key,) = made.body["write_keys"]
    assert len(key) >= 20
    assert admin("POST", "/sources", {"slug": "app", "name": "App"}).code == "exists"
    patched = admin("PATCH", "/sources/app", {"enabled": False, "rate_limit": 5}).body
    assert (patched["enabled"], patched["rate_limit"], patched["write_keys"]) == (False, 5, [key])
    replaced = admin("PUT", "/sources/app", {"name": "Other"}).body
    assert (replaced["name"], replaced["enabled"], replaced["write_keys"]) == ("Other", True, [key])
    assert admin("PATCH", "/sources/app", {"rate_limit": None}).body["rate_limit"] is None
    listing = admin("GET", "/sources")
    assert (listing.headers["cache-control"], listing.headers["x-content-type-options"]) == (
        "no-store", "nosniff",
    )  # fmt: skip
    listed = listing.body["items"]
    assert {"app", "shop"} <= {source["slug"] for source in listed}
    assert admin("DELETE", "/sources/app").status == 204
    for method in ("GET", "DELETE"):
        assert admin(method, "/sources/app").code == "not_found"


def test_write_keys(admin: Client) -> None:
    admin("POST", "/sources", {"slug": "keys", "name": "K", "write_keys": ["keys-1"]})
    assert admin("GET", "/sources/keys/write-keys").body["items"] == ["keys-1"]
    added = admin("POST", "/sources/keys/write-keys", {"key": "keys-2"})
    assert (added.status, added.body["items"]) == (201, ["keys-1", "keys-2"])
    fresh, kept = admin("POST", "/sources/keys/write-keys/keys-1/rotate").body["items"]
    assert (fresh not in ("keys-1", "keys-2"), kept) == (True, "keys-2")
    assert admin("DELETE", "/sources/keys/write-keys/keys-2").status == 204
    assert admin("DELETE", "/sources/keys/write-keys/keys-2").code == "not_found"
    assert admin("POST", "/sources/keys/write-keys", {"key": "shop-key"}).code == "refused"
    assert admin("GET", "/sources/keys/write-keys").body["items"] == [fresh]


def test_a_workspace_is_applied_whole_or_not_at_all(admin: Client) -> None:
    new = {"slug": "whole", "name": "W"}
    planned = admin("POST", "/workspace/apply", {"sources": [new], "dry_run": True}).body
    assert [change["action"] for change in planned["changes"]] == ["create"]
    assert admin("GET", "/sources/whole").status == 404
    twice = admin("POST", "/workspace/apply", {"sources": [new, new]})
    assert (twice.code, "stands twice" in twice.body["error"]["message"]) == ("refused", True)
    thief = {"slug": "thief", "name": "T", "write_keys": ["shop-key"]}
    for dry_run in (True, False):
        body = {"sources": [new, thief], "dry_run": dry_run}
        assert admin("POST", "/workspace/apply", body).code == "refused"
    assert admin("GET", "/sources/whole").status == 404
    assert admin("POST", "/workspace/apply", {"sources": [new]}).status == 200
    again = admin("POST", "/workspace/apply", {"sources": [new]}).body
    assert ([change["action"] for change in again["changes"]], again["sources"]) == (["keep"], [])


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "code", "says"),
    [
        ("GET", "/nope", None, 404, "not_found", "/api/schema"),
        ("GET", "/api/v2", None, 404, "not_found", "/api/schema"),
        ("GET", "/api/schema/nope", None, 404, "not_found", "/api/schema"),
        ("PUT", "/me", b"{}", 405, "method_not_allowed", "other methods"),
        ("POST", "/sources", b"{", 400, "invalid_request", ""),
        ("POST", "/sources", b"\xff", 400, "invalid_request", ""),
        ("POST", "/sources", b"[]", 400, "invalid_request", "object"),
        ("POST", "/sources", b'{"slug":"a1","nmae":"x"}', 400, "invalid_request", "nmae"),
        ("POST", "/sources", b'{"slug":"A","name":"x"}', 400, "invalid_request", "slug"),
        ("POST", "/sources", b'{"slug":"temp","name":"x"}', 400, "refused", "none of"),
        ("PATCH", "/sources/shop", b'{"rate_limit":0}', 400, "invalid_request", "rate_limit"),
        ("GET", "/sources?page=2", None, 400, "invalid_request", "query page"),
        ("GET", "/audit?limit=0", None, 400, "invalid_request", "query limit"),
        ("GET", "/audit?before=x", None, 400, "invalid_request", "query before"),
        ("GET", "/rejected?before=x", None, 400, "invalid_request", "query before"),
        ("GET", "/volumes?by=week", None, 400, "invalid_request", "query by"),
        ("GET", "/volumes?start=tomorrow", None, 400, "invalid_request", "query start"),
        ("GET", "/volumes?start=2000-01-01T00:00:00Z", None, 400, "invalid_request", "at most"),
        ("GET", "/volumes?start=2030-01-01T00:00:00Z", None, 400, "invalid_request", "before end"),
        ("DELETE", "/tokens/nope", None, 404, "not_found", "no token nope"),
        ("DELETE", "/users/nope", None, 404, "not_found", "no user nope"),
    ],
)
def test_every_failure_has_one_shape(
    admin: Client, method: str, path: str, sent: bytes | None, status: int, code: str, says: str
) -> None:
    answer = admin(method, path, raw=sent)
    assert (answer.status, answer.code) == (status, code), answer.body
    assert answer.headers["content-type"] == "application/json"
    assert says in answer.body["error"]["message"]


def test_a_body_that_is_too_large(admin: Client) -> None:
    answer = admin("POST", "/sql", raw=b'{"statement":"' + b"x" * (17 * 1024 * 1024) + b'"}')
    assert (answer.status, answer.code) == (413, "too_large")


def test_what_the_monitor_knows(admin: Client, penstock: RunningPenstock) -> None:
    deadline = time.monotonic() + 60
    while not (shapes := admin("GET", "/schema?source=shop").body["items"]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    toast = next(shape for shape in shapes if shape["event"] == "Toast Buttered")
    slices = next(each for each in toast["properties"] if each["path"] == "slices")
    assert (toast["count"], slices["types"], slices["examples"]) == (1, {"integer": 1}, ["2"])
    volumes = admin("GET", "/volumes?source=shop&by=hour").body["items"]
    assert {each["outcome"].partition(":")[0] for each in volumes} == {"stored", "rejected"}
    ledger = admin("GET", "/ledger?source=shop").body
    assert (ledger["balanced"], ledger["items"][0]["accepted"]) == (True, 1)
    status = admin("GET", "/status").body
    assert (status["running"], status["received"], status["loaded"]) == (True, 1, 1)


def test_rejected_events_by_pages(admin: Client, penstock: RunningPenstock) -> None:
    page = admin("GET", "/rejected?source=shop").body
    assert page["items"][0]["code"] == "no_user_anon_id"
    assert json.loads(page["items"][0]["original"]) == {"event": "Toast Burnt"}
    assert admin("GET", "/rejected?source=other").body["items"] == []
    assert admin("GET", "/rejected?code=nope").body["items"] == []


def test_the_tail(admin: Client) -> None:
    for seconds in (1, 30):  # a slow machine may not know every fate after a second
        answer = admin("GET", f"/tail?back=10&seconds={seconds}&source=shop")
        if b'"loaded"' in answer.content and b'"rejected"' in answer.content:
            break
    assert answer.headers["content-type"].startswith("text/event-stream")
    blocks = [part for part in answer.content.decode().split("\n\n") if part.startswith("event: ")]
    items = [json.loads(part.partition("data: ")[2]) for part in blocks]
    assert {item["event"]: item["fate"] for item in items} == {
        "Toast Buttered": "loaded", "Toast Burnt": "rejected",
    }  # fmt: skip
    quiet = admin("GET", "/tail?back=10&seconds=1&user=nobody")
    assert b"event:" not in quiet.content


def test_too_many_tails_of_one_owner(admin: Client, with_scopes: Callable[..., Client]) -> None:
    host = admin.url.removeprefix("http://")
    tails = [http.client.HTTPConnection(host, timeout=60) for _ in range(5)]
    try:
        for each in tails:
            headers = {"Authorization": f"Bearer {admin.token}"}
            each.request("GET", "/api/v1/tail", headers=headers)
            assert each.getresponse().read(1) == b":"
        answer = admin("GET", "/tail?seconds=0.01")
        assert (answer.status, answer.code) == (429, "too_many_tails")
        assert with_scopes("events:read")("GET", "/tail?seconds=0.01").status == 200
    finally:
        for each in tails:
            each.close()
    deadline = time.monotonic() + 60
    while admin("GET", "/tail?seconds=0.01").status != 200:
        assert time.monotonic() < deadline, "those who hang up make room"
        time.sleep(0.1)


def test_every_change_is_audited_and_no_secret_is(admin: Client) -> None:
    before = admin("GET", "/audit?limit=1").body["items"][0]["id"]
    admin("POST", "/sources", {"slug": "seen", "name": "S", "write_keys": ["audit-secret-key"]})
    admin("PATCH", "/sources/seen", {"name": "T"})
    admin("POST", "/sources/seen/write-keys/audit-secret-key/rotate")
    admin("DELETE", "/sources/seen")
    token = admin("POST", "/tokens", {"name": "seen", "role": "viewer"}).body
    admin("DELETE", f"/tokens/{token['token']['id']}")
    password = "a password nobody sees"
    admin("POST", "/users", {"name": "seen", "role": "viewer", "password": password})
    admin("PATCH", "/users/seen", {"role": "editor", "password": f"{password} 2"})
    admin("DELETE", "/users/seen")
    answer = admin("GET", "/audit?limit=100")
    new = [entry for entry in reversed(answer.body["items"]) if entry["id"] > before]
    assert [(entry["action"], entry["subject"].partition(":")[0]) for entry in new] == [
        ("create", "source"), ("update", "source"), ("update", "source"), ("delete", "source"),
        ("create", "token"), ("revoke", "token"),
        ("create", "user"), ("update", "user"), ("update", "user"), ("delete", "user"),
    ]  # fmt: skip
    assert {(e["actor"], e["actor_kind"], e["address"]) for e in new} == {
        ("first start", "token", "127.0.0.1")
    }
    for secret in ("audit-secret-key", token["secret"], password):
        assert secret.encode() not in answer.content
    page = admin("GET", "/audit?limit=3").body
    following = admin("GET", f"/audit?limit=3&before={page['next']}").body
    assert page["items"][-1]["id"] > following["items"][0]["id"]
    assert len(admin("GET", "/audit?subject=source:seen").body["items"]) == 4


def test_the_document_and_its_page(nobody: Client) -> None:
    document = nobody("GET", "/api/schema").body
    assert document["openapi"].startswith("3.")
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["description"], f"{method} {path}"
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    (content,) = answer["content"].values()
                    body = "ProfileErrorBody" if path.startswith("/v1/") else "ErrorBody"
                    assert content["schema"] == {"$ref": f"#/components/schemas/{body}"}
    page = nobody("GET", "/api/schema/docs")
    assert page.headers["content-type"].startswith("text/html")
    text = page.content.decode()
    assert "<script" not in text and "http://" not in text and "https://" not in text
    assert all(path in text for path in document["paths"])


def test_it_stays_quick_while_others_wait(admin: Client) -> None:
    endless: dict[str, Any] = {
        "statement": "select count(*) from range(10000000000) a, range(1000000) b "
        "where a.range + b.range = 7",
    }
    names = [f"slow-{number}" for number in range(3)]
    slow = [
        threading.Thread(target=admin, args=("POST", "/sql", {**endless, "id": name}))
        for name in names
    ]
    for each in slow:
        each.start()
    deadline = time.monotonic() + 60
    while len(admin("GET", "/sql/queries").body["items"]) < 3:
        assert time.monotonic() < deadline
    for _ in range(20):
        assert admin("GET", "/sources").status == 200
    assert all(each.is_alive() for each in slow), "twenty lists took as long as a query"
    for name in names:
        assert admin("DELETE", f"/sql/queries/{name}").status == 204
    for each in slow:
        each.join()


def test_a_user_that_exists(admin: Client) -> None:
    body = {"name": "twice", "role": "viewer", "password": "correct horse battery"}
    assert admin("POST", "/users", body).status == 201
    again = admin("POST", "/users", body)
    assert (again.status, again.code) == (409, "exists")


@pytest.mark.parametrize("raw", [b"[" * 2000, b'{"name":"\xff"}'])
def test_a_login_that_is_no_json(nobody: Client, raw: bytes) -> None:
    answer = nobody("POST", "/login", raw=raw)
    assert (answer.status, answer.code) == (400, "invalid_request")


def test_a_login_by_a_form_of_another_site(nobody: Client) -> None:
    body = {"name": "ada", "password": "correct horse battery"}
    answer = nobody("POST", "/login", body, headers={"Content-Type": "text/plain"})
    assert (answer.status, answer.code) == (400, "invalid_request")


def test_nobody_revokes_a_token_that_may_more(admin: Client) -> None:
    made = admin("POST", "/tokens", {"name": "r", "scopes": ["tokens:write"]}).body
    big = admin("POST", "/tokens", {"name": "big", "role": "administrator"}).body["token"]["id"]
    revoker = admin.with_token(made["secret"])
    assert revoker("DELETE", f"/tokens/{big}").code == "forbidden"
    assert revoker("DELETE", f"/tokens/{made['token']['id']}").status == 204


def test_rejected_events_hide_write_keys(admin: Client, penstock: RunningPenstock) -> None:
    for sent in (b'{"writeKey":"shop-key","event":"Hidden"}', b'{"writeKey":"shop-key","a":"\xff'):
        host = penstock.url.removeprefix("http://")
        sender = http.client.HTTPConnection(host, timeout=60)
        sender.request("POST", "/v1/track?writeKey=shop-key", sent)
        sender.getresponse().read()
        sender.close()
    made = admin("POST", "/tokens", {"name": "v", "role": "viewer"}).body
    viewer = admin.with_token(made["secret"])
    kept = [_original(item) for item in admin("GET", "/rejected").body["items"]]
    seen = [_original(item) for item in viewer("GET", "/rejected").body["items"]]
    assert any(b"shop-key" in each for each in kept)
    assert not any(b"shop-key" in each for each in seen)


def _original(item: dict[str, Any]) -> bytes:
    text = str(item["original"])
    return base64.b64decode(text) if item["encoding"] == "base64" else text.encode()
