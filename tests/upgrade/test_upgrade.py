"""Data made by an earlier commit, killed in the middle, goes on with the present one.

The archives are made by ``scripts/make-old-data COMMIT``. Time is set back to an hour after an
archive was made: the messageIds in it are still within the dedupe window.
"""

from __future__ import annotations

import base64
import json
import tarfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.running import RunningPenstock

ARCHIVES = sorted((Path(__file__).parent / "data").glob("*.tar.gz"))
TABLES = {
    "track": "tracks", "identify": "identifies", "page": "pages", "screen": "screens",
    "group": "groups", "alias": "aliases",
}  # fmt: skip
SHIFTED_CLOCK = Path(__file__).parents[1] / "recovery" / "shifted_clock"


class Old:
    """A data folder of an earlier commit, and the present Penstock on it."""

    def __init__(self, archive: Path, folder: Path) -> None:
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
        self.promises: dict[str, Any] = json.loads((folder / "promises.json").read_text())
        hour_later = self.promises["now_us"] // 1_000_000 + 3600
        clock = folder / "clock"
        clock.write_text(str(hour_later - int(time.time())))
        self.penstock = RunningPenstock(
            folder,
            settings={"PYTHONPATH": str(SHIFTED_CLOCK), "PENSTOCK_TEST_CLOCK": str(clock)},
        )

    def send(self, slug: str, *events: dict[str, object]) -> None:
        """One batch of a source; it must be taken."""
        key = base64.b64encode(f"{slug}-key:".encode()).decode()
        headers = {"Authorization": f"Basic {key}", "Content-Type": "application/json"}
        body = json.dumps({"batch": events}).encode()
        request = urllib.request.Request(f"{self.penstock.url}/v1/batch", body, headers)
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(request, timeout=60) as answer:
            assert answer.status == 200

    def ids(self, *tables: str) -> dict[str, list[str]]:
        """The ids in tables, by table."""
        found: dict[str, list[str]] = {table: [] for table in tables}
        queries = [f"select '{table}' as name, id from {table}" for table in tables]
        for row in self.penstock.sql(f"{' union all '.join(queries)} order by id"):
            found[str(row["name"])].append(str(row["id"]))
        return found

    def promised(self) -> dict[str, list[str]]:
        """The same, as the archive says it."""
        calls = {name.partition(".")[::2]: ids for name, ids in self.promises["ids"].items()}
        return {f"{slug}.{TABLES[kind]}": sorted(ids) for (slug, kind), ids in calls.items()}


@pytest.fixture(params=ARCHIVES, ids=lambda path: path.name.partition(".")[0])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Old]:
    found = Old(request.param, tmp_path)
    try:
        yield found
    finally:
        found.penstock.close()


def test_there_is_data_of_an_earlier_commit() -> None:
    assert ARCHIVES


def test_old_data_goes_on(old: Old) -> None:
    penstock = old.penstock
    penstock.start()
    penstock.wait_for("select 1 from web.tracks limit 1")
    assert old.ids(*old.promised()) == old.promised()
    (users,) = penstock.sql("select count(*) n, min(name) name, min(plan) plan from web.users")
    assert users == {"n": 7, "name": "Ada", "plan": "gold"}
    assert [row["slices"] for row in penstock.sql("select slices from app.toast_buttered limit 2")]

    known = old.promises["ids"]["web.track"][0]
    repeated = {"type": "track", "event": "Toast Buttered", "userId": "u1", "messageId": known}
    fresh = {**repeated, "messageId": "fresh", "properties": {"slices": 5, "burnt": True}}
    old.send("web", repeated, fresh)
    penstock.wait_for("select 1 from web.tracks where id = 'fresh'")
    assert sorted(old.ids("web.tracks")["web.tracks"]) == sorted(
        [*old.promises["ids"]["web.track"], "fresh"]
    )
    assert penstock.sql("select slices, burnt from web.toast_buttered where id = 'fresh'") == [
        {"slices": 5, "burnt": True}
    ]
    status = json.loads(penstock.command("status", "--json"))
    assert status["rejected"] == old.promises["refused"]
    assert status["damage"] == []
    penstock.wait_for_log("upgraded from format 1")
    assert penstock.stop() == 0

    penstock.start()
    penstock.wait_for("select 1 from web.tracks where id = 'fresh'")
    assert penstock.stop() == 0


def test_old_data_can_be_backed_up_and_restored(old: Old, tmp_path: Path) -> None:
    penstock = old.penstock
    target = tmp_path / "target"
    penstock.command("backup", str(target))
    penstock.data = tmp_path / "again"
    penstock.command("restore", str(target))
    penstock.start()
    penstock.wait_for("select 1 from web.tracks limit 1")
    assert old.ids(*old.promised()) == old.promised()
    assert penstock.stop() == 0
