"""Why is my event missing? Each cause is found by one command, on a real Penstock."""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.running import RunningPenstock

WORKSPACE = """
sources:
  web: {name: Web, type: browser, write_keys: [web-key]}
  old: {name: Old, type: server, enabled: false, write_keys: [old-key]}
"""
Json = dict[str, Any]


@pytest.fixture(scope="module")
def penstock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPenstock]:
    """A Penstock that was sent one event of each kind of trouble."""
    running = RunningPenstock(tmp_path_factory.mktemp("why"))
    running.apply(WORKSPACE)
    try:
        running.start()
        send(running, "web-key", "m-good", {"total": 12.5, "email": "ada@example.com"})
        running.wait_for("select total from web.order_completed")
        send(running, "web-key", "m-good", {"total": 12.5})
        send(running, "web-key", "m-conflict", {"total": "twelve"})
        send(running, "web-key", "m-nameless", {}, event=None)
        send(running, "wrong-key", "m-wrong-key", {}, status=401)
        send(running, "old-key", "m-disabled", {})
        running.wait_for("select 1 from web.discards")
        yield running
        assert running.stop() == 0
    finally:
        running.close()


def test_status_names_every_cause(penstock: RunningPenstock) -> None:
    text = penstock.command("status")
    assert "1 x event_not_defined (web): track needs an event name" in text
    assert "1 x unknown_source (unknown source): no source has the write key 'wrong-key'" in text
    assert "1 x source_disabled (old): source old is disabled" in text
    assert "1 x total of web.order_completed (type), newest in messageId m-conflict" in text
    assert "  old: 1 requests refused lately" in text
    found = json.loads(penstock.command("status", "--json"))
    assert (found["received"], found["duplicates"], found["rejected"]) == (3, 1, 3)
    assert found["disabled"] == [{"source": "old", "refused": 1}]
    assert found["discards_lately"][0]["last_message_id"] == "m-conflict"


def test_tail_tells_the_fate_of_each(penstock: RunningPenstock) -> None:
    lines = [json.loads(line) for line in
             penstock.command("tail", "--json", "--limit", "6").splitlines()]  # fmt: skip
    last: dict[int, Json] = {}
    fates: dict[int, list[str]] = {}
    for line in lines:
        last[line["number"]] = line
        fates.setdefault(line["number"], []).append(line["fate"])
    shown = [(last[n]["message_id"], fates[n], last[n]["note"]) for n in sorted(last)]
    loaded = ["received", "stored", "loaded"]
    assert shown[:3] == [
        ("m-good", loaded, ""),
        ("m-good", ["received", "duplicate"], "its messageId was received before"),
        ("m-conflict", loaded, "1 value in discards: total (type)"),
    ]
    codes = {(last[n]["message_id"], last[n]["code"]) for n in last if fates[n] == ["rejected"]}
    assert codes == {
        ("m-nameless", "event_not_defined"),
        ("m-wrong-key", "unknown_source"),
        ("m-disabled", "source_disabled"),
    }


def test_tail_for_people(penstock: RunningPenstock) -> None:
    for duration in ("2s", "30s"):  # a slow machine may not know every fate after two seconds
        text = penstock.command("tail", "--source", "web", "--user", "u1", "--for", duration)
        if "discards" in text:
            break
    assert "m-conflict  1 value in discards: total (type)" in text
    assert "event_not_defined: track needs an event name" in text
    assert "old" not in text


def test_rejected_lists_them_with_their_originals(penstock: RunningPenstock) -> None:
    listed = json.loads(penstock.command("rejected", "--json"))
    assert [entry["code"] for entry in listed] == [
        "source_disabled", "unknown_source", "event_not_defined",
    ]  # fmt: skip
    assert listed[0]["message_id"] == "m-disabled"
    original = json.loads(penstock.command("rejected", "--raw", listed[2]["id"]))
    assert original == {"userId": "u1", "messageId": "m-nameless", "properties": {}}
    text = penstock.command("rejected", "--code", "unknown_source")
    assert "(unknown source)  unknown_source: no source has the write key 'wrong-key'" in text


def test_schema_shows_the_two_types_and_no_personal_value(penstock: RunningPenstock) -> None:
    def schema() -> Json:
        found = json.loads(penstock.command("schema", "web", "Order Completed", "--json"))
        return dict(found[0]) if found else {"count": 0}

    found = until(schema, lambda found: found["count"] == 2)
    assert (found["rejected"], found["sampled"]) == (0, False)
    listed = {each["path"]: each for each in found["properties"] if each["place"] == "properties"}
    assert listed["total"]["types"] == {"string": 1, "number": 1}
    assert listed["total"]["examples"] == ["12.5", "twelve"]
    assert listed["email"]["examples"] == ["***"]
    assert "Order Completed" in penstock.command("schema")
    assert b"ada@example.com" not in (penstock.data / "monitor.sqlite-wal").read_bytes()


def send(
    penstock: RunningPenstock,
    key: str,
    message_id: str,
    properties: Json,
    *,
    event: str | None = "Order Completed",
    status: int = 200,
) -> None:
    """One track call; the events of a test are a little apart, so that they have an order."""
    body: Json = {"userId": "u1", "messageId": message_id, "properties": properties}
    if event is not None:
        body["event"] = event
    request = urllib.request.Request(
        f"{penstock.url}/v1/track",
        json.dumps(body).encode(),
        {"Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.status == status
    except urllib.error.HTTPError as error:
        assert error.code == status
        error.close()
    time.sleep(0.01)


def until(read: Callable[[], Json], holds: Callable[[Json], bool]) -> Json:
    """What is read once it is as wished; what is read after a minute else."""
    deadline = time.monotonic() + 60
    while True:
        found = read()
        if holds(found) or time.monotonic() > deadline:
            return found
        time.sleep(0.2)
