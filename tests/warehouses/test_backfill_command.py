"""``penstock backfill`` with and without a running engine."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path

import pytest

from tests.running import CommandFailedError, RunningPenstock, running_penstock

WORKSPACE = "sources:\n  web: {type: server, write_keys: [web-key]}\n"


def _track(penstock: RunningPenstock, event: str, *ids: str) -> None:
    batch = [{"type": "track", "event": event, "userId": "u1", "messageId": one} for one in ids]
    body = json.dumps({"batch": batch, "writeKey": "web-key"}).encode()
    with urllib.request.urlopen(f"{penstock.url}/v1/batch", body, timeout=30) as answer:
        assert answer.status == 200


def test_a_table_is_filled_while_it_runs_and_while_it_does_not(tmp_path: Path) -> None:
    with running_penstock(tmp_path, WORKSPACE) as penstock:
        _track(penstock, "Tea", "m1", "m2")
        penstock.wait_for("select 1 from web.tea having count(*) = 2")
        assert penstock.command("backfill", "web.tea") == "web.tea: 0 rows added\n"
        told = json.loads(
            penstock.command("backfill", "web.tea", "--since", "2026-01-01", "--json")
        )
        assert told == {"source": "web", "table": "tea", "added": 0}
    assert penstock.command("backfill", "web.tea") == "web.tea: 0 rows added\n"
    for wrong in (["tea"], ["web.tea", "--since", "soon"]):
        with pytest.raises(CommandFailedError, match="2: "):
            penstock.command("backfill", *wrong)


SELECTIVE = """
sources:
  web: {type: server, write_keys: [web-key]}
warehouses:
  warehouse:
    sources:
      web: {without_events: [Toast], without_properties: {"*": [context.ip]}}
"""


def test_what_is_left_out_is_brought_back(tmp_path: Path) -> None:
    with running_penstock(tmp_path, SELECTIVE) as penstock:
        assert "without_events" in penstock.command("export")
        _track(penstock, "Toast", "m1", "m2")
        _track(penstock, "Tea", "m3")
        penstock.wait_for("select 1 from web.tea")
        wait = "select 1 from penstock.progress where filtered = 2"
        penstock.wait_for(wait)
        assert "~ warehouses.warehouse" in penstock.apply(
            "warehouses: {warehouse: {sources: {web: {}}}}"
        )
        deadline = time.monotonic() + 120
        while (filled := penstock.command("backfill", "web.toast")).endswith(": 0 rows added\n"):
            assert time.monotonic() < deadline
        assert filled == "web.toast: 2 rows added\n"
        assert len(penstock.sql("select * from web.toast")) == 2


@pytest.mark.parametrize(
    ("yaml", "says"),
    [
        ("other: {}", "there is no such warehouse"),
        ("warehouse: {sources: {shop: {}}}", "there is no such source"),
        ("warehouse: {sources: {web: {without_event: [a]}}}", "did you mean without_events?"),
        ("warehouse: {sources: {web: {without_events: [$see]}}}", "there is no such call"),
    ],
)
def test_what_can_not_be_meant_is_refused_with_its_place(
    tmp_path: Path, yaml: str, says: str
) -> None:
    penstock = RunningPenstock(tmp_path)
    with pytest.raises(CommandFailedError, match="warehouses") as refused:
        penstock.apply(f"sources:\n  web: {{type: server}}\nwarehouses:\n  {yaml}\n")
    assert says in str(refused.value)
    assert not penstock.data.exists()
