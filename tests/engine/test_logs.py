"""Logs: one line for each decision, structured, and without what clients sent."""

from __future__ import annotations

import io
import json
import logging
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock import logs
from penstock.errors import PenstockError, WarehouseError
from tests.running import CommandFailedError, RunningPenstock

MARK = "zq7private"
WORKSPACE = f"""
sources:
  a_first: {{write_keys: [plain-key]}}
  shop: {{write_keys: [{MARK}-key]}}
  paused: {{enabled: false, write_keys: [off-{MARK}]}}
"""


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:], root.level = before, level


def test_json_lines_have_role_event_and_facts(written: io.StringIO) -> None:
    assert logs.set_up("process", form="auto", to=written)
    logs.get("penstock.x").warning("a gap was found", first=3, path=Path("/a b"))
    logging.getLogger("other").error("an %s line\nof a library", "old")
    first, second = map(json.loads, written.getvalue().splitlines())
    assert first.pop("at").endswith("Z")
    assert first == {"level": "warning", "role": "process", "logger": "penstock.x",
                     "event": "a gap was found", "first": 3, "path": "/a b"}  # fmt: skip
    assert second["event"] == "an old line\nof a library"


def test_text_is_one_line_with_quoted_facts(written: io.StringIO) -> None:
    assert not logs.set_up("process", form="text", to=written)
    logs.get("penstock.x").error("two\nlines", reason='a "b"', n=1)
    (line,) = written.getvalue().splitlines()
    assert line.partition(" ")[2] == 'ERROR process: two | lines reason="a \\"b\\"" n=1'


def test_the_level_counts(written: io.StringIO) -> None:
    logs.set_up("process", level="error", to=written)
    logs.get("penstock.x").warning("not told")
    assert written.getvalue() == ""


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_unexpected_exception_is_its_type_and_place(written: io.StringIO, form: str) -> None:
    logs.set_up("process", form=form, to=written)
    try:
        int(MARK)
    except ValueError:
        logs.get("penstock.x").exception("it failed")
    (line,) = written.getvalue().splitlines()
    assert "ValueError" in line
    assert "test_logs.py:" in line
    assert MARK not in line


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (PenstockError("a setting is wrong"), "a setting is wrong"),
        (FileNotFoundError(2, "No such file", "/data/x"), "/data/x: No such file"),
        (sqlite3.OperationalError("database is locked"), "database is locked"),
        (KeyError(MARK), "KeyError"),
        (UnicodeDecodeError("utf-8", MARK.encode(), 0, 1, "bad"), "UnicodeDecodeError"),
    ],
)
def test_what_is_told_of_an_exception(error: Exception, says: str) -> None:
    assert logs.told(error) == says


def test_what_is_behind_a_warehouse_error() -> None:
    error = WarehouseError(f"can't convert {MARK}")
    error.__cause__ = ValueError(MARK)
    assert logs.behind(error) == "ValueError"


def test_nothing_that_clients_send_is_logged(tmp_path: Path) -> None:
    """Marked values go through every way on which an event or a query can fail."""
    penstock = RunningPenstock(tmp_path, settings={"PENSTOCK_LOG_LEVEL": "debug"})
    penstock.apply(WORKSPACE)
    event = {"event": f"Toast {MARK}", "userId": MARK, "messageId": f"m-{MARK}",
             "properties": {"slices": 1, MARK: MARK, "email": f"{MARK}@example.com"}}  # fmt: skip
    try:
        penstock.start()
        penstock.wait_for_api()
        _post(penstock, event, f"{MARK}-key")
        _post(penstock, {**event, "messageId": "m2", "properties": {"slices": f"{MARK} two"}},
              f"{MARK}-key")  # fmt: skip
        _post(penstock, {"event": MARK}, f"{MARK}-key")
        _post(penstock, event, f"unknown-{MARK}")
        _post(penstock, event, f"off-{MARK}")
        _post(penstock, f"{{{MARK}".encode(), f"{MARK}-key")
        _post(penstock, b'{"event":"' + b"\xff" + MARK.encode(), f"{MARK}-key")
        deep = b'{"userId":"u","event":"x","properties":' + b"[" * 2000 + MARK.encode()
        _post(penstock, deep, f"{MARK}-key")
        _post(penstock, {**event, "properties": {"x": MARK * 6000}}, f"{MARK}-key")
        _get(f"{penstock.url}/v1/pixel/track?data={MARK}%ff&writeKey={MARK}-key")
        _get(f"{penstock.url}/v1/projects/{MARK}/settings")
        _get(f"{penstock.url}/{MARK}")
        _get(f"{penstock.console_url}/api/v1/{MARK}?{MARK}={MARK}")
        penstock.wait_for("select * from shop.tracks", lambda rows: len(rows) == 2)
        for query in (f"select '{MARK}'::int", f"select {MARK}", f"drop table {MARK}",
                      f"select error('{MARK}')"):  # fmt: skip
            with pytest.raises(CommandFailedError):
                penstock.sql(query)
        assert penstock.stop() == 0
    finally:
        penstock.close()
    log = penstock.log.read_text(encoding="utf-8")
    lines = [line for line in log.splitlines() if MARK in line]
    assert lines == []
    assert '"role": "collector-0"' in log
    errors = [path.read_text() for path in (penstock.data / "run").glob("*.error")]
    assert not any(MARK in text for text in errors)


def _post(penstock: RunningPenstock, body: object, key: str) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"{penstock.url}/v1/track?writeKey={key}", data)
    _answered(request)


def _get(url: str) -> None:
    _answered(urllib.request.Request(url))


def _answered(request: urllib.request.Request) -> None:
    """Whatever the status is."""
    try:
        urllib.request.urlopen(request, timeout=60).close()
    except urllib.error.HTTPError as error:
        error.close()
    except urllib.error.URLError:
        return
