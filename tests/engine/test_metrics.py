"""Metrics: one page of all processes, in a form that Prometheus reads."""

from __future__ import annotations

import asyncio
import json
import re
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from penstock.errors import JournalUnwritable
from penstock.events.model import Record
from penstock.ingest.accept import Acceptance
from penstock.ingest.committer import GroupCommitter
from penstock.journal.contract import NewBlock
from penstock.metrics import (
    METRICS,
    Distribution,
    Histogram,
    Page,
    Snapshot,
    SnapshotFile,
    Value,
    read_snapshots,
    render,
)
from tests.running import RunningPenstock

DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana" / "penstock.json"
ROLES = {"collector-0", "collector-1", "process", "warehouse", "monitor", "profiles", "api"}
WORKSPACE = """
sources:
  web: {write_keys: [web-key]}
  slow: {write_keys: [slow-key], rate_limit: 1}
"""


def test_the_page_is_read_as_it_was_meant() -> None:
    histogram = Histogram("penstock_warehouse_load_seconds")
    for seconds in (0.0005, 0.02, 0.02, 99.0):
        histogram.observe(seconds)
    page = Page(
        (
            Value("penstock_process_events_total", 12_345_678_901.0),
            Value("penstock_collector_rejected_events_total", 2.0, ("0", 'a"b\\c\nd')),
        ),
        (Distribution.of("penstock_warehouse_load_seconds", histogram),),
    )
    text = render([Snapshot("warehouse", 100.0, page), Snapshot("process", 80.0, Page())], 101.0)
    found = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert found["penstock_process_events_total",] == 12_345_678_901
    rejected = ("penstock_collector_rejected_events_total", ("code", 'a"b\\c\nd'), ("worker", "0"))
    assert found[rejected] == 2
    load = "penstock_warehouse_load_seconds"
    assert found[f"{load}_bucket", ("le", "0.001")] == 1
    assert found[f"{load}_bucket", ("le", "0.025")] == 3
    assert found[f"{load}_bucket", ("le", "+Inf")] == found[f"{load}_count",] == 4
    assert found[f"{load}_sum",] == pytest.approx(99.0405)
    assert found["penstock_role_up", ("role", "warehouse")] == 1
    assert found["penstock_role_up", ("role", "process")] == 0


def test_a_file_that_cant_be_read_is_left_out(tmp_path: Path) -> None:
    SnapshotFile(tmp_path, "process").write(Page())
    (tmp_path / "metrics" / "warehouse.json").write_text("{")
    assert [snapshot.role for snapshot in read_snapshots(tmp_path)] == ["process"]


def test_one_scrape_shows_every_process_and_the_dashboard_finds_its_names(tmp_path: Path) -> None:
    penstock = RunningPenstock(tmp_path, settings={"PENSTOCK_WORKERS": "2"})
    penstock.apply(WORKSPACE)
    try:
        penstock.start()
        for number in range(40):  # new connections: both workers get some
            _send(penstock, "web-key", number)
            _send(penstock, "unknown", number)
        limited: list[int] = []
        while 429 not in limited:
            limited.append(_send(penstock, "slow-key", len(limited)))
        taken = limited.count(200)
        penstock.wait_for("select * from web.tracks", lambda rows: len(rows) == 40)
        page = _await_page(penstock, accepted=40 + taken)
        health = urllib.request.urlopen(f"{penstock.url}/health", timeout=60).status
        with urllib.request.urlopen(f"{penstock.console_url}/metrics", timeout=60) as answer:
            console = {family.name for family in text_string_to_metric_families(
                answer.read().decode())}  # fmt: skip
        penstock.stop()
    finally:
        penstock.close()
    families = {family.name: family for family in text_string_to_metric_families(page)}
    assert console == set(families)
    accepted = families["penstock_collector_accepted_events"].samples
    assert {sample.labels["worker"] for sample in accepted} == {"0", "1"}
    assert sum(sample.value for sample in accepted) == 40 + taken
    roles = {sample.labels["role"] for sample in families["penstock_role_up"].samples}
    assert roles >= ROLES
    named = {line.split()[2] for line in page.splitlines() if line.startswith("# TYPE")}
    deliver = {name for name in METRICS if name.startswith("penstock_deliver_")}
    assert named == set(METRICS) - deliver  # nothing is delivered here
    assert _dashboard_names() - deliver <= {_plain(name) for name in named}
    assert health == 200


def test_the_dashboard_shows_every_metric() -> None:
    assert _dashboard_names() == set(METRICS)


def _dashboard_names() -> set[str]:
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return {_plain(name) for one in expressions for name in re.findall(r"penstock_\w+", one)}


def _plain(name: str) -> str:
    """A histogram's series under the name of the histogram."""
    base = re.sub(r"_(bucket|sum|count)$", "", name)
    return base if base in METRICS else name


def test_a_collector_whose_write_failed_is_not_ready_until_one_passes() -> None:
    class Writer:
        """Fails as long as it is told to."""

        broken = True

        def append(self, blocks: list[NewBlock]) -> list[int | None]:
            if self.broken:
                raise JournalUnwritable("no")
            return [0 for _ in blocks]

        def last_sequence(self, producer: str) -> int | None:
            del producer
            return None

        def last_created_us(self) -> int:
            return 0

        def close(self) -> None:
            return

    async def run() -> None:
        writer = Writer()
        committer = GroupCommitter(writer, Writer(), queue_bytes=1000)
        event = Acceptance(1, "web", promised=1, records=[Record("web", "m", 1, b"{}")])
        assert committer.trouble() == ""
        with pytest.raises(JournalUnwritable):
            await committer.commit(event, 10)
        assert committer.trouble() == "a write to the journal failed just now"
        writer.broken = False
        await committer.commit(event, 10)
        assert committer.trouble() == ""
        assert committer.waiting_bytes == 0
        assert sum(committer.tally.commit_seconds.counts) == 2
        committer.close()
        assert committer.trouble() == "nothing is written any more"

    asyncio.run(run())


def _send(penstock: RunningPenstock, key: str, number: int) -> int:
    body = json.dumps({"writeKey": key, "event": "Toast", "userId": f"u{number}"}).encode()
    try:
        with urllib.request.urlopen(f"{penstock.url}/v1/track", body, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def _await_page(penstock: RunningPenstock, accepted: int) -> str:
    """The page, once the monitor counted and every role reported after it."""
    deadline = time.monotonic() + 60
    while True:
        with urllib.request.urlopen(f"{penstock.url}/metrics", timeout=60) as answer:
            page = str(answer.read().decode())
        lags = re.findall(r"^penstock_lag_events\{.*\} (\d+)$", page, re.M)
        told = re.findall(r"^penstock_collector_accepted_events\w*\{.*\} (\S+)$", page, re.M)
        if (
            "penstock_ledger_missing_events" in page
            and all(f'"{role}"' in page for role in ROLES)
            and len(lags) == 4
            and not any(map(int, lags))
            and sum(map(float, told)) >= accepted
        ):
            return page
        assert time.monotonic() < deadline, page
        time.sleep(0.2)
