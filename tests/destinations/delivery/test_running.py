"""A running Penstock: a destination is applied, and events arrive; without one, nothing runs."""

from __future__ import annotations

import json
import sqlite3
import urllib.request
from pathlib import Path

from penstock.metrics import read_snapshots
from tests.destinations.faults.rig import Rig, until
from tests.recovery.traffic import KEY, WORKSPACE
from tests.running import RunningPenstock

DESTINATION = """
destinations:
  {slug}:
    type: webhook
    enabled: {enabled}
    settings: {{url: "{url}"}}
"""


def _send(penstock: RunningPenstock, ids: list[str]) -> None:
    events = [
        {"type": "track", "event": "Kind 1", "userId": "u", "messageId": name,
         **({"integrations": {"hook": False}} if name.startswith("held") else {})}
        for name in ids
    ]  # fmt: skip
    body = json.dumps({"writeKey": KEY, "batch": events}).encode()
    request = urllib.request.Request(
        f"{penstock.url}/v1/batch", body, {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=30).close()


def _roles(penstock: RunningPenstock) -> set[str]:
    return {one.role for one in read_snapshots(penstock.data / "run")}


def test_a_destination_that_is_applied_gets_what_is_sent_from_then_on(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "rig")
    rig.sink_up()
    penstock = RunningPenstock(tmp_path, settings={"PENSTOCK_ALLOW_PRIVATE_DESTINATIONS": "1"})
    penstock.apply(WORKSPACE)

    def destine(*, enabled: bool) -> None:
        text = DESTINATION.format(slug="hook", enabled=str(enabled).lower(), url=rig.url("hook"))
        penstock.apply(WORKSPACE + text)

    try:
        penstock.start()
        _send(penstock, ["before-1"])
        assert "deliver" not in _roles(penstock)
        destine(enabled=True)
        _send(penstock, ["a", "held-b", "c"])
        until(lambda: set(rig.taken().of("/hook")) >= {"a", "c"})
        assert "deliver" in until(lambda: _roles(penstock) if len(_roles(penstock)) > 4 else None)
        destine(enabled=False)
        positions = penstock.data / "journal" / "positions.sqlite"

        def consumers() -> set[str]:
            with sqlite3.connect(positions) as connection:
                return {row[0] for row in connection.execute("SELECT consumer FROM positions")}

        until(lambda: "deliver:hook" not in consumers())
        _send(penstock, ["d"])
        destine(enabled=True)
        _send(penstock, ["e"])
        until(lambda: "e" in rig.taken().of("/hook"))
        assert set(rig.taken().of("/hook")) - {"before-1"} == {"a", "c", "e"}
    finally:
        penstock.close()
        rig.close()
