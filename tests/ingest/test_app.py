"""The tracking API over ASGI: every path, key, encoding and answer."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import threading
import zlib
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest

from penstock.errors import JournalUnwritable
from penstock.events import CALLS
from tests.ingest.collecting import Collecting, Json, NoWriter, basic

TEA: Json = {"type": "track", "userId": "u1", "event": "Tea Poured", "messageId": "m1"}
EVENTS: dict[str, Json] = {
    "track": {"userId": "u1", "event": "Tea Poured"},
    "identify": {"userId": "u1", "traits": {"plan": "pro"}},
    "page": {"anonymousId": "a1", "name": "Home"},
    "screen": {"anonymousId": "a1"},
    "group": {"userId": "u1", "groupId": "g1"},
    "alias": {"userId": "u1", "previousId": "a1"},
}
SINGLE_PATHS = [(f"/v1/{name}", call) for call in CALLS for name in (call, call[0])]
BATCH_PATHS = ["/v1/batch", "/v1/b", "/v1/import"]


# Paths -------------------------------------------------------------------------------------


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(("path", "call"), SINGLE_PATHS)
def test_single_event_paths(collecting: Collecting, path: str, call: str, slash: str) -> None:
    answer = collecting.post(path + slash, EVENTS[call])
    assert (answer.status, answer.json()) == (200, {"success": True})
    assert [event["type"] for event in collecting.events()] == [call]


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("path", BATCH_PATHS)
def test_batch_paths(collecting: Collecting, path: str, slash: str) -> None:
    items = [{**EVENTS[call], "type": call} for call in CALLS]
    answer = collecting.post(path + slash, {"batch": items})
    assert (answer.status, answer.json()) == (200, {"success": True})
    assert [event["type"] for event in collecting.events()] == list(CALLS)
    assert len({event["receivedAt"] for event in collecting.events()}) == 1


@pytest.mark.parametrize(
    "content_type",
    [None, "text/plain", "application/json", "text/plain;charset=UTF-8", "image/png", "x" * 2000],
)
def test_any_content_type(collecting: Collecting, content_type: str | None) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    assert collecting.post("/v1/t", TEA, headers=headers).status == 200
    assert len(collecting.events()) == 1


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v2/track", "/v1/tracks", "/v1/pixel", "/v1/track/x", "//"]
)
def test_other_paths_are_not_found(collecting: Collecting, path: str) -> None:
    for method in ("GET", "POST", "HEAD", "PUT"):
        answer = collecting.send(method, path)
        assert (answer.status, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("path", ["/v1/track", "/v1/b", "/v1/m"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "TRACE"])
def test_other_methods_are_not_allowed(collecting: Collecting, path: str, method: str) -> None:
    answer = collecting.send(method, path)
    assert (answer.status, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "POST, OPTIONS"


@pytest.mark.parametrize("path", ["/v1/pixel/track", "/v1/projects/web-key/settings"])
def test_what_is_read_can_not_be_posted(collecting: Collecting, path: str) -> None:
    answer = collecting.send("POST", path)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_health(collecting: Collecting, path: str) -> None:
    assert collecting.send("GET", path).status == 200
    assert collecting.send("HEAD", path).status == 200


def test_metrics_of_the_collector(collecting: Collecting) -> None:
    assert collecting.send("GET", "/metrics").headers["content-type"].startswith("text/plain")


def test_lifespan(collecting: Collecting) -> None:
    async def run() -> list[str]:
        messages = iter(["lifespan.startup", "lifespan.shutdown"])
        sent: list[str] = []

        async def receive() -> MutableMapping[str, Any]:
            return {"type": next(messages)}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message["type"])

        await collecting.app({"type": "lifespan"}, receive, send)
        await collecting.app({"type": "websocket"}, receive, send)
        return sent

    assert collecting.run(run()) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


# Keys --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "authorization",
    [
        basic("web-key:"),
        basic("web-key"),
        basic("web-key:secret"),
        basic("web-key:").lower().replace("basic", "BASIC")[:6] + basic("web-key:")[6:],
        basic("web-key:").rstrip("="),
        basic("web-key:") + "  ",
    ],
)
def test_basic_authorization(collecting: Collecting, authorization: str) -> None:
    answer = collecting.send(
        "POST", "/v1/track", json.dumps(TEA).encode(), headers={"authorization": authorization}
    )
    assert answer.status == 200
    assert collecting.received()[0].source == "web"


@pytest.mark.parametrize(
    "authorization", ["Bearer token", "Basic", "Basic !", "Basic A", basic(":"), ""]
)
def test_without_a_basic_key_the_body_counts(collecting: Collecting, authorization: str) -> None:
    body = json.dumps({**TEA, "writeKey": "server-key"}).encode()
    answer = collecting.send("POST", "/v1/track", body, headers={"authorization": authorization})
    assert answer.status == 200
    assert collecting.received()[0].source == "server"


def test_the_header_wins_over_the_body_and_the_body_over_the_query(collecting: Collecting) -> None:
    body = json.dumps({**TEA, "writeKey": "server-key"}).encode()
    by_header = {"authorization": basic("web-key:")}
    collecting.send("POST", "/v1/t", body, headers=by_header, query=b"writeKey=app-key")
    collecting.send("POST", "/v1/t", body, query=b"writeKey=app-key")
    collecting.send("POST", "/v1/t", json.dumps(TEA).encode(), query=b"a=b&writeKey=app%2Dkey&c")
    assert [record.source for record in collecting.received()] == ["web", "server", "app"]


@pytest.mark.parametrize(("setting", "status"), [(401, 401), (200, 200)])
def test_an_unknown_key(tmp_path: Path, setting: int, status: int) -> None:
    collecting = Collecting(tmp_path, unknown_key_status=setting)
    answer = collecting.post("/v1/track", TEA, key="who")
    assert answer.status == status
    assert collecting.received() == []
    (rejected,) = collecting.rejected()
    assert (rejected.code, rejected.source) == ("unknown_source", "")
    assert json.loads(rejected.original) == TEA
    collecting.close()


def test_a_disabled_source(collecting: Collecting) -> None:
    answer = collecting.post("/v1/track", TEA, key="off-key")
    assert (answer.status, answer.json()["rejected"][0]["code"]) == (200, "source_disabled")
    assert [(r.code, r.source) for r in collecting.rejected()] == [("source_disabled", "off")]


# Bodies ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        (" GZIP ", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("identity", bytes),
        ("", bytes),
        ("gzip", lambda body: gzip.compress(body[:40]) + gzip.compress(body[40:])),
    ],
)
def test_encodings(collecting: Collecting, encoding: str, pack: Any) -> None:
    body = pack(json.dumps({"batch": [TEA], "writeKey": "web-key"}).encode())
    answer = collecting.send("POST", "/v1/batch", body, headers={"content-encoding": encoding})
    assert answer.status == 200
    assert len(collecting.received()) == 1


@pytest.mark.parametrize(
    ("encoding", "body", "code"),
    [
        ("gzip", b"{}", "bad_request"),
        ("gzip", b"", "bad_request"),
        ("gzip", gzip.compress(b"{" * 500)[:-1], "bad_request"),
        ("gzip", gzip.compress(b"x" * 500)[:12], "bad_request"),
        ("gzip", gzip.compress(b"{}") + b"rubbish", "bad_request"),
        ("gzip", gzip.compress(b" " * 50_000_000), "too_large"),
        ("gzip", gzip.compress(b"{}") + gzip.compress(b" " * 5_000_000), "too_large"),
        ("br", b"{}", "bad_request"),
        ("gzip, gzip", gzip.compress(b"{}"), "bad_request"),
    ],
)
def test_bodies_that_do_not_unpack(
    collecting: Collecting, encoding: str, body: bytes, code: str
) -> None:
    headers = {"content-encoding": encoding, "authorization": basic("web-key:")}
    answer = collecting.send("POST", "/v1/track", body, headers=headers)
    assert (answer.status, answer.json()["code"]) == (400, code)
    assert [(r.code, r.source, r.original) for r in collecting.rejected()] == [(code, "web", body)]


def test_an_unknown_encoding_is_told_which_are_known(collecting: Collecting) -> None:
    answer = collecting.send("POST", "/v1/track", b"{}", headers={"content-encoding": "br"})
    assert answer.json()["message"] == "Content-Encoding 'br': use gzip, deflate or none"


@pytest.mark.parametrize("path", ["/v1/track", "/v1/batch"])
@pytest.mark.parametrize("body", [b"", b"{", b"{'a':1}", b"a=b", b"\xff\xfe{}", b'{"a":NaN}'])
def test_bad_json_is_a_400(collecting: Collecting, path: str, body: bytes) -> None:
    answer = collecting.send("POST", path, body)
    assert (answer.status, answer.json()["code"]) == (400, "invalid_json")
    assert [r.original for r in collecting.rejected()] == [body]


def test_an_oversize_body_is_cut_while_it_is_read(collecting: Collecting) -> None:
    taken = 0

    def parts() -> Any:
        nonlocal taken
        while True:
            taken += 1
            yield b"x" * 65_536

    answer = collecting.send("POST", "/v1/batch", parts=parts())
    assert (answer.status, answer.json()["code"]) == (400, "too_large")
    assert answer.headers["connection"] == "close"
    assert 128 <= taken <= 132  # 8 MiB, of which 512 KiB were kept
    assert [len(r.original) for r in collecting.rejected()] == [512 * 1024]


def test_a_body_a_little_too_large_is_read_to_its_end(collecting: Collecting) -> None:
    answer = collecting.send("POST", "/v1/batch", parts=[b"x" * 65_536] * 9)
    assert (answer.status, answer.json()["code"]) == (400, "too_large")
    assert "connection" not in answer.headers


def test_a_body_in_many_parts(collecting: Collecting) -> None:
    body = json.dumps({"batch": [TEA], "writeKey": "web-key"}).encode()
    parts = [body[i : i + 7] for i in range(0, len(body), 7)]
    assert collecting.send("POST", "/v1/batch", parts=[b"", *parts, b""]).status == 200
    assert len(collecting.received()) == 1


def test_a_slow_body_is_timed_out(tmp_path: Path) -> None:
    collecting = Collecting(tmp_path, body_timeout=0.05)

    async def run() -> list[MutableMapping[str, Any]]:
        sent: list[MutableMapping[str, Any]] = []
        messages = [{"type": "http.request", "body": b"{", "more_body": True}]

        async def receive() -> MutableMapping[str, Any]:
            if messages:
                return messages.pop()
            await asyncio.sleep(60)
            raise AssertionError

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http", "method": "POST", "path": "/v1/t", "headers": [], "query_string": b"",
        }  # fmt: skip
        await collecting.app(scope, receive, send)
        return sent

    start, body = collecting.run(run())
    assert start["status"] == 408
    assert (b"connection", b"close") in start["headers"]
    assert json.loads(body["body"])["code"] == "timeout"
    assert collecting.rejected() == []
    collecting.close()


@pytest.mark.parametrize("first", [True, False])
def test_a_client_that_goes_away_is_not_answered(collecting: Collecting, first: bool) -> None:
    async def run() -> list[object]:
        sent: list[object] = []
        messages = [{"type": "http.request", "body": b"{", "more_body": True}] if first else []

        async def receive() -> MutableMapping[str, Any]:
            return messages.pop() if messages else {"type": "http.disconnect"}

        async def send(message: object) -> None:
            sent.append(message)

        scope = {
            "type": "http", "method": "POST", "path": "/v1/t", "headers": [], "query_string": b"",
        }  # fmt: skip
        await collecting.app(scope, receive, send)
        return sent

    assert collecting.run(run()) == []
    assert collecting.rejected() == []


# Answers -----------------------------------------------------------------------------------


def test_refused_items_are_named_in_the_answer(collecting: Collecting) -> None:
    answer = collecting.post("/v1/batch", {"batch": [TEA, {"type": "track", "userId": "u"}, 5]})
    assert answer.status == 200
    assert answer.json()["success"] is True
    assert [(item["index"], item["code"]) for item in answer.json()["rejected"]] == [
        (1, "event_not_defined"), (2, "bad_request"),
    ]  # fmt: skip
    assert len(collecting.received()) == 1
    assert [r.original for r in collecting.rejected()] == [
        b'{"type": "track", "userId": "u"}', b"5",
    ]  # fmt: skip


def test_one_refused_event_is_a_200(collecting: Collecting) -> None:
    answer = collecting.post("/v1/track", {"userId": "u"})
    assert (answer.status, answer.json()["rejected"][0]["code"]) == (200, "event_not_defined")
    assert collecting.received() == []
    assert len(collecting.rejected()) == 1


def test_2501_items(collecting: Collecting) -> None:
    answer = collecting.post("/v1/batch", {"batch": [TEA] * 2501})
    assert (answer.status, answer.json()["rejected"][0]["code"]) == (200, "too_many_items")
    assert collecting.received() == []
    (rejected,) = collecting.rejected()
    assert len(json.loads(rejected.original)["batch"]) == 2501


# CORS --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/v1/t", "/v1/batch", "/v1/m", "/v1/pixel/track", "/v1/projects/web-key/settings"]
)
@pytest.mark.parametrize(
    "asked",
    [None, "authorization,content-type", "authorization, x-retry-count, X-Api-Key", "x-ö-odd"],
)
def test_preflight(collecting: Collecting, path: str, asked: str | None) -> None:
    headers = {"origin": "https://shop.test", "access-control-request-method": "POST"}
    if asked is not None:
        headers["access-control-request-headers"] = asked
    answer = collecting.send("OPTIONS", path, headers=headers)
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == "https://shop.test"
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["access-control-allow-methods"] == "GET, POST, OPTIONS"
    assert int(answer.headers["access-control-max-age"]) >= 600
    allowed = answer.headers["access-control-allow-headers"]
    if asked is None or not asked.isascii():
        assert {"authorization", "content-type", "x-retry-count"} <= set(allowed.split(", "))
    else:
        assert allowed == asked


def test_every_answer_can_be_read_across_origins(tmp_path: Path) -> None:
    collecting = Collecting(tmp_path, queue_bytes=0)
    origin = {"origin": "https://shop.test"}
    for method, path, body in [
        ("POST", "/v1/t", b"{"),
        ("POST", "/v1/t", b'{"userId":"u","event":"X","writeKey":"web-key"}'),
        ("GET", "/v1/pixel/track", b""),
        ("GET", "/v1/projects/web-key/settings", b""),
        ("GET", "/v1/projects/who/settings", b""),
        ("POST", "/nowhere", b""),
    ]:
        answer = collecting.send(method, path, body, headers=origin)
        assert answer.headers["access-control-allow-origin"] == "https://shop.test"
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert "Retry-After" in answer.headers["access-control-expose-headers"]
        assert answer.headers["vary"] == "Origin"
    collecting.close()


def test_an_odd_origin_does_no_harm(collecting: Collecting) -> None:
    answer = collecting.send("GET", "/ready", headers=[(b"origin", b"a\x01b\xff")])
    assert answer.headers["access-control-allow-origin"] == "null"


# The pixel ---------------------------------------------------------------------------------

SAMPLE = {
    "writeKey": "web-key",
    "userId": "025pikachu025",
    "event": "Email Opened",
    "properties": {"subject": "The Electric Daily", "email": "peekAtMe@email.poke"},
}


def encoded(event: object, pad: str = "") -> str:
    """Base64 as the guide's own sample has it: without padding, unless asked for more spaces."""
    return base64.b64encode(json.dumps(event).encode() + pad.encode()).decode()


def assert_image(answer: Any) -> None:
    assert answer.status == 200
    assert answer.headers["content-type"] == "image/gif"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.body[:6] == b"GIF89a"
    assert len(answer.body) in (42, 43)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("pad", ["", " ", "  "])
@pytest.mark.parametrize("form", ["padded", "unpadded", "url-safe", "quoted"])
def test_the_pixel_reads_base64(collecting: Collecting, call: str, pad: str, form: str) -> None:
    event = {**EVENTS[call], "writeKey": "web-key", "userId": "ü>?~~ÿ"}
    data = encoded(event, pad)
    if form == "unpadded":
        data = data.rstrip("=")
    elif form == "url-safe":
        data = data.replace("+", "-").replace("/", "_").rstrip("=")
    elif form == "quoted":
        data = data.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
    answer = collecting.send("GET", f"/v1/pixel/{call}", query=f"data={data}".encode())
    assert_image(answer)
    (stored,) = collecting.events()
    assert (stored["type"], stored["userId"]) == (call, "ü>?~~ÿ")
    assert "writeKey" not in stored


def test_the_pixel_of_the_guide(collecting: Collecting) -> None:
    data = encoded(SAMPLE, "  ").rstrip("=")
    assert_image(collecting.send("GET", "/v1/pixel/track/", query=b"data=" + data.encode()))
    (stored,) = collecting.events()
    assert stored["properties"] == SAMPLE["properties"]
    assert stored["context"] == {"ip": "203.0.113.7"}


def test_the_pixel_reads_dotted_parameters(collecting: Collecting) -> None:
    query = (
        b"writeKey=web-key&userId=u1&event=Email+Opened&properties.subject=Hi%20there"
        b"&properties.deep.er=1&context.ip=0.0.0.0&properties.empty="
    )
    assert_image(collecting.send("GET", "/v1/pixel/track", query=query))
    (stored,) = collecting.events()
    assert stored["event"] == "Email Opened"
    assert stored["properties"] == {"subject": "Hi there", "deep": {"er": "1"}, "empty": ""}
    assert stored["context"] == {"ip": "0.0.0.0"}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (b"", "unknown_source"),
        (b"data=", "invalid_json"),
        (b"data=!!!!", "bad_request"),
        (b"data=e30", "unknown_source"),
        (b"data=W10", "bad_request"),
        (b"writeKey=web-key", "no_user_anon_id"),
        (b"writeKey=web-key&userId=u", "event_not_defined"),
        (b"writeKey=who&userId=u&event=X", "unknown_source"),
        (b"writeKey=web-key&properties.a=1&properties=2", "bad_request"),
        (b"writeKey=web-key&properties=2&properties.a=1", "bad_request"),
        (b"writeKey=web-key&" + b"a." * 30_000 + b"a=1", "bad_request"),
        (b"writeKey=web-key&userId=u&properties=x&event=e", "properties_not_object"),
        (b"\xff\xfe=%ff&%=&&=&=", "unknown_source"),
    ],
)
def test_the_pixel_is_always_the_image(collecting: Collecting, query: bytes, code: str) -> None:
    assert_image(collecting.send("GET", "/v1/pixel/track", query=query))
    assert [r.code for r in collecting.rejected()] == [code]
    assert collecting.received() == []


def test_a_pixel_that_is_only_looked_at_is_not_counted(collecting: Collecting) -> None:
    assert_image(collecting.send("HEAD", "/v1/pixel/track", query=b"writeKey=web-key"))
    assert collecting.received() + collecting.rejected() == []


def test_a_pixel_that_can_not_be_written_is_counted_as_lost(tmp_path: Path) -> None:
    writer = NoWriter()
    writer.failure = JournalUnwritable("no")
    collecting = Collecting(tmp_path, writers=(writer, writer))
    query = b"writeKey=web-key&userId=u&event=X"
    assert_image(collecting.send("GET", "/v1/pixel/track", query=query))
    assert collecting.committer.tally.lost_pixels == 1
    collecting.close()


# Settings and metrics ----------------------------------------------------------------------


def segment_io(collecting: Collecting, **how: Any) -> Json:
    answer = collecting.send("GET", "/v1/projects/web-key/settings", **how)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    settings: Json = answer.json()["integrations"]["Segment.io"]
    return settings


def test_settings(collecting: Collecting) -> None:
    settings = segment_io(collecting, headers={"host": "cdp.test:8080"})
    assert settings["apiKey"] == "web-key"
    assert settings["apiHost"] == "cdp.test:8080/v1"
    assert settings["protocol"] == "http"
    answer = collecting.send("GET", "/v1/projects/web-key/settings")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.json()["metrics"]["sampleRate"] == 0


def test_settings_of_an_unknown_key(collecting: Collecting) -> None:
    answer = collecting.send("GET", "/v1/projects/who/settings")
    assert (answer.status, answer.json()["code"]) == (404, "unknown_source")


def test_settings_behind_a_proxy(tmp_path: Path) -> None:
    headers = {
        "host": "10.0.0.9:8080",
        "x-forwarded-proto": "https, http",
        "x-forwarded-host": "cdp.test",
    }
    collecting = Collecting(tmp_path / "a", trusted_proxies="10.0.0.0/8")
    trusted = segment_io(collecting, headers=headers, client="10.0.0.1")
    assert (trusted["protocol"], trusted["apiHost"]) == ("https", "cdp.test/v1")
    foreign = segment_io(collecting, headers=headers, client="203.0.113.7")
    assert (foreign["protocol"], foreign["apiHost"]) == ("http", "10.0.0.9:8080/v1")
    collecting.close()
    collecting = Collecting(tmp_path / "b", public_url="https://public.test/")
    public = segment_io(collecting, headers=headers)
    assert (public["protocol"], public["apiHost"]) == ("https", "public.test/v1")
    collecting.close()


def test_remote_metrics_are_taken_and_not_kept(collecting: Collecting) -> None:
    body = b'{"series":[{"type":"Counter","metric":"analytics_js.invoke","value":1}]}'
    assert collecting.send("POST", "/v1/m", body).status == 200
    assert collecting.send("POST", "/v1/m/", b"rubbish").status == 200
    assert collecting.send("POST", "/v1/m", b"x" * 600_000).status == 400
    assert collecting.received() == []
    assert collecting.rejected() == []


# Addresses ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("client", "forwarded", "ip"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1", "198.51.100.1", "10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", [" 198.51.100.1:4711 ,,"], "198.51.100.1"),
        ("10.0.0.1", ['"198.51.100.1:4711"'], "198.51.100.1"),
        ("10.0.0.1", ["10.0.0.3,10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["2001:db8::1"], None),
        ("10.0.0.1", ["[2001:db8::1]:443"], None),
        ("10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["unknown"], None),
        ("10.0.0.1", ["198.51.100.1, unknown"], None),
        ("10.0.0.1", ["x" * 60_000], None),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("::1", ["198.51.100.1"], "198.51.100.1"),
        ("2001:db8::9", [], None),
        ("::ffff:203.0.113.7", [], "203.0.113.7"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
    ],
)
def test_addresses(tmp_path: Path, client: str, forwarded: list[str], ip: str | None) -> None:
    collecting = Collecting(tmp_path, trusted_proxies="10.0.0.0/8, ::1")
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    body = json.dumps({**TEA, "writeKey": "web-key"}).encode()
    assert collecting.send("POST", "/v1/t", body, headers=headers, client=client).status == 200
    assert collecting.events()[0].get("context", {}).get("ip") == ip
    collecting.close()


# Back-pressure -----------------------------------------------------------------------------


def test_a_failed_write_is_a_503_and_nothing_is_acknowledged(tmp_path: Path) -> None:
    received, rejected = NoWriter(), NoWriter()
    collecting = Collecting(tmp_path, writers=(received, rejected))
    received.failure = JournalUnwritable("input/output error")
    answer = collecting.post("/v1/track", TEA)
    assert (answer.status, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0
    received.failure = None
    assert collecting.post("/v1/track", TEA).status == 200
    assert len(received.blocks) == 1
    collecting.close()


def test_a_refusal_that_can_not_be_kept_is_a_503(tmp_path: Path) -> None:
    received, rejected = NoWriter(), NoWriter()
    collecting = Collecting(tmp_path, writers=(received, rejected))
    rejected.failure = JournalUnwritable("input/output error")
    for body in (b"{", b'{"writeKey":"web-key"}', b'{"batch":[],"writeKey":"web-key"}'):
        assert collecting.send("POST", "/v1/batch", body).status == 503
    collecting.close()


def test_a_bug_in_a_writer_is_a_503_and_the_committer_lives_on(tmp_path: Path) -> None:
    received, rejected = NoWriter(), NoWriter()
    collecting = Collecting(tmp_path, writers=(received, rejected))
    received.failure = ZeroDivisionError("bug")
    assert collecting.post("/v1/track", TEA).status == 503
    received.failure = None
    assert collecting.post("/v1/track", TEA).status == 200
    collecting.close()


def test_a_full_disk_is_a_503(collecting: Collecting) -> None:
    collecting.has_room = False
    answer = collecting.post("/v1/track", TEA)
    assert (answer.status, answer.json()["code"]) == (503, "unavailable")
    assert "retry-after" in answer.headers
    collecting.has_room = True
    assert collecting.post("/v1/track", TEA).status == 200
    assert len(collecting.received()) == 1


def test_a_full_queue_is_a_429_and_it_empties_again(tmp_path: Path) -> None:
    received, rejected = NoWriter(), NoWriter()
    may_write = threading.Event()
    received.before = lambda: may_write.wait(60)
    collecting = Collecting(tmp_path, writers=(received, rejected), queue_bytes=700)
    body = json.dumps({**TEA, "writeKey": "web-key", "properties": {"a": "x" * 200}}).encode()

    async def run() -> list[Any]:
        first = [asyncio.ensure_future(collecting.drive("POST", "/v1/t", body)) for _ in range(3)]
        await asyncio.wait(first, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        turned_away = [task.result() for task in first if task.done()]
        may_write.set()
        return [turned_away, [(await task).status for task in first]]

    turned_away, statuses = collecting.run(run())
    (answer,) = turned_away
    assert (answer.status, answer.json()["code"]) == (429, "rate_limited")
    assert answer.headers["retry-after"] == answer.headers["x-ratelimit-reset"] == "1"
    assert sorted(statuses) == [200, 200, 429]
    assert collecting.send("POST", "/v1/t", body).status == 200
    assert sum(block.count for block in received.blocks) == 3
    collecting.close()


def test_a_client_that_left_before_the_fsync_disturbs_nobody(tmp_path: Path) -> None:
    received, rejected = NoWriter(), NoWriter()
    may_write = threading.Event()
    received.before = lambda: may_write.wait(60)
    collecting = Collecting(tmp_path, writers=(received, rejected))
    body = json.dumps({**TEA, "writeKey": "web-key"}).encode()

    async def run() -> int:
        leaving, staying = (
            asyncio.ensure_future(collecting.drive("POST", "/v1/t", body)) for _ in range(2)
        )
        async with asyncio.timeout(60):
            while collecting.committer.waiting_bytes < 2 * len(body):
                await asyncio.sleep(0.01)
        leaving.cancel()
        may_write.set()
        answer = await staying
        return answer.status

    assert collecting.run(run()) == 200
    assert sum(block.count for block in received.blocks) == 2
    assert collecting.post("/v1/track", TEA).status == 200
    collecting.close()


def test_requests_that_wait_together_are_written_together(tmp_path: Path) -> None:
    received, rejected = NoWriter(), NoWriter()
    collecting = Collecting(tmp_path, writers=(received, rejected))
    body = json.dumps({**TEA, "writeKey": "web-key"}).encode()

    async def run() -> list[int]:
        answers = await asyncio.gather(
            *(collecting.drive("POST", "/v1/t", body) for _ in range(500))
        )
        return [answer.status for answer in answers]

    assert collecting.run(run()) == [200] * 500
    assert len(received.blocks) < 100
    assert sum(block.count for block in received.blocks) == 500
    collecting.close()
