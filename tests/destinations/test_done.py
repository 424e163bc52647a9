"""A webhook made in the workspace file while Penstock runs, as a user would."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.running import RunningPenstock

SOURCES = "sources:\n  web: {name: Web, type: server, write_keys: [web-key]}\n"
WORKSPACE = (
    SOURCES
    + """
destinations:
  facebook_hook:
    type: webhook
    name: Facebook Pixel
    settings: {url: "http://127.0.0.1:PORT/pixel", shared_secret: {env: HOOK_SECRET}}
  orders_hook:
    type: webhook
    sources: [web]
    settings: {url: "http://127.0.0.1:PORT/orders"}
"""
)
PATIENCE_S = 60.0
IDENTIFY = {
    "type": "identify",
    "userId": "user_123",
    "traits": {"email": "jane.kim@example.com", "name": "Jane Kim"},
    "integrations": {"Facebook Pixel": False},
}


class Sink:
    """Takes every request, and remembers when."""

    def __init__(self) -> None:
        arrived = self.arrived = []  # type: list[tuple[str, dict[str, Any], float]]

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                arrived.append((self.path, json.loads(body), time.monotonic()))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                del format, args

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait(self, path: str, message_id: str) -> float:
        """When it arrived."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            for at, body, when in self.arrived:
                if at == path and body["messageId"] == message_id:
                    return when
            time.sleep(0.01)
        raise AssertionError(f"{message_id} did not arrive at {path}: {self.arrived}")


@pytest.fixture
def sink() -> Iterator[Sink]:
    made = Sink()
    yield made
    made.server.shutdown()
    made.server.server_close()


def _send(penstock: RunningPenstock, event: dict[str, Any]) -> float:
    headers = {"Authorization": "Basic d2ViLWtleTo=", "Content-Type": "application/json"}
    url = f"{penstock.url}/v1/{event['type']}"
    request = urllib.request.Request(url, json.dumps(event).encode(), headers)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=60) as answer:
        assert answer.status == 200
    return time.monotonic()


def test_a_webhook_applied_while_it_runs_gets_events_and_not_what_is_withheld(
    tmp_path: Path, sink: Sink
) -> None:
    settings = {"PENSTOCK_ALLOW_PRIVATE_DESTINATIONS": "1", "HOOK_SECRET": "hunter2-hunter2"}
    penstock = RunningPenstock(tmp_path, settings=settings)
    penstock.apply(SOURCES)
    try:
        penstock.start()
        penstock.wait_for_log("Ctrl-C stops.")
        _send(penstock, {"type": "track", "event": "Before", "userId": "u", "messageId": "m0"})
        printed = penstock.apply(WORKSPACE.replace("PORT", str(sink.port)))
        assert "+ destinations.orders_hook" in printed
        first = {"type": "track", "event": "First", "userId": "u", "messageId": "m1"}
        for message_id in ("m1", "m2", "m3", "m4"):
            sent = _send(penstock, {**first, "messageId": message_id})
            print(  # noqa: T201 - shown with pytest -s
                f"{message_id} arrived {sink.wait('/orders', message_id) - sent:.3f} s later"
            )
        _send(penstock, {**IDENTIFY, "messageId": "jane"})
        _send(penstock, {**first, "messageId": "last"})
        sink.wait("/orders", "jane")
        sink.wait("/pixel", "last")
        sink.wait("/orders", "last")
        penstock.wait_for("select 1 from web.identifies where user_id = 'user_123'")
        assert {body["messageId"] for path, body, _ in sink.arrived if path == "/pixel"} == {
            "m1", "m2", "m3", "m4", "last",
        }  # fmt: skip
        assert not any(body["messageId"] == "m0" for _, body, _ in sink.arrived)
        told = json.loads(penstock.command("destinations", "list", "--json"))
        assert {each["slug"] for each in told} == {"facebook_hook", "orders_hook"}
        tried = penstock.command("destinations", "test", "orders_hook", "--json")
        assert json.loads(tried)["attempts"][0]["delivered"]
        assert "hunter2" not in penstock.log.read_text(encoding="utf-8")
        assert penstock.stop() == 0
    finally:
        penstock.close()
