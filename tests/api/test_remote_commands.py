"""Commands that look at a Penstock elsewhere, through its API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.api.calling import Client
from tests.running import RunningPenstock


def _run(where: Path, penstock: RunningPenstock, token: str, *words: str) -> tuple[int, bytes, str]:
    """A command in a folder that has no data, with an address instead."""
    environment = {**os.environ, "PENSTOCK_URL": penstock.console_url, "PENSTOCK_TOKEN": token}
    command = [sys.executable, "-m", "penstock", *words]
    done = subprocess.run(
        command, cwd=where, env=environment, capture_output=True, timeout=120, check=False
    )
    return done.returncode, done.stdout, done.stderr.decode()


@pytest.fixture
def told(penstock: RunningPenstock, first_token: str, admin: Client, tmp_path: Path) -> Any:
    """What a command prints."""

    def run(*words: str) -> bytes:
        code, out, err = _run(tmp_path, penstock, first_token, *words)
        assert code == 0, err
        assert list(tmp_path.iterdir()) == [], "it wrote a folder of its own"
        return out

    return run


def test_status(told: Any) -> None:
    assert json.loads(told("status", "--json"))["received"] >= 1
    assert b"running" in told("status").splitlines()[0]


def test_schema(told: Any) -> None:
    found = json.loads(told("schema", "shop", "Toast Buttered", "--json"))
    assert [(one["source"], one["event"]) for one in found] == [("shop", "Toast Buttered")]
    assert b"slices" in told("schema", "shop", "Toast Buttered")


def test_rejected_and_the_bytes_of_one(told: Any) -> None:
    listed = json.loads(told("rejected", "--source", "shop", "--limit", "5000", "--json"))
    (entry,) = [each for each in listed if each["event"] == "Toast Burnt"]
    assert told("rejected", "--raw", entry["id"]) == b'{"event":"Toast Burnt"}'


def test_tail_ends_when_it_has_shown_what_it_should(told: Any) -> None:
    lines = told("tail", "--event", "Toast Buttered", "-n", "5", "--limit", "1", "--json")
    items = [json.loads(line) for line in lines.splitlines()]
    assert {item["message_id"] for item in items} == {"m1"}
    assert items[-1]["fate"] == "loaded"
    assert b"Toast Buttered" in told("tail", "-n", "100", "--for", "2s")


def test_a_token_that_is_not_known(
    penstock: RunningPenstock, admin: Client, tmp_path: Path
) -> None:
    for words in (["status"], ["schema"], ["rejected"], ["tail"]):
        code, out, err = _run(tmp_path, penstock, "pst_" + "x" * 43, *words)
        assert (code, out) == (1, b"")
        assert "token" in err


def test_people_and_audiences(told: Any, admin: Client) -> None:
    fields = {"when": 'did "Toast Buttered"'}
    admin("POST", "/audiences", {"slug": "remote", "fields": fields})
    deadline = time.monotonic() + 60
    while not admin("GET", "/audiences/remote").body["size"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert b"remote" in told("audiences", "list")
    shown = json.loads(told("audiences", "show", "remote", "--json"))
    assert (shown["state"], shown["size"]) == ("live", 1)
    assert [one["ids"][0]["value"] for one in shown["members"]["items"]] == ["u1"]
    assert told("audiences", "preview", 'did "Toast Buttered"').startswith(b"1 of ")
    person = json.loads(told("profiles", "show", "user_id:u1", "--why", "remote", "--json"))
    assert person["why"][0]["member"] is True
