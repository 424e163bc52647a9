"""Faults other than a crash: full disks, damaged files, workers taken away."""

from __future__ import annotations

import http.client
import json
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.recovery.traffic import (
    WORKSPACE,
    Promises,
    Traffic,
    assert_kept,
    assert_refusals_kept,
    wait_until_loaded,
)
from tests.requirements import is_required
from tests.running import RunningPenstock

from penstock.journal.contract import RECEIVED
from penstock.journal.salvage import damage_reports
from penstock.journal.sqlite import SqliteJournal
from penstock.process.worker import decode_records


def send_for(penstock: RunningPenstock, requests: int, seed: int) -> Promises:
    """Let traffic run until about so many requests' events are acknowledged."""
    traffic = Traffic(penstock.port, clients=2, seed=seed)
    traffic.start()
    try:
        while traffic.acknowledged() < requests:
            pass_time()
    finally:
        promises = traffic.stop()
    return promises


def pass_time() -> None:
    """Let others work."""
    time.sleep(0.02)


def test_partitions_of_workers_that_are_gone_are_still_read(tmp_path: Path) -> None:
    many = RunningPenstock(tmp_path, settings={"PENSTOCK_WORKERS": "3"})
    many.apply(WORKSPACE)
    try:
        many.start()
        promises = send_for(many, 2_000, seed=3)
        many.kill()
        partitions = sorted(path.name for path in (many.data / "journal/received").iterdir())
        assert partitions == ["0", "1", "2"]
        few = RunningPenstock(tmp_path, settings={"PENSTOCK_WORKERS": "1"})
        try:
            few.start()
            wait_until_loaded(few)
            assert_kept(few, promises)
        finally:
            few.close()
    finally:
        many.close()


def test_a_damaged_tail_is_reported_and_the_rest_survives(tmp_path: Path) -> None:
    penstock = RunningPenstock(tmp_path)
    penstock.apply(WORKSPACE)
    try:
        penstock.start()
        before = send_for(penstock, 500, seed=4)
        wait_until_loaded(penstock)
        penstock.stop()
        damage_newest_block(penstock.data / "journal/received/0")
        penstock.start()
        after = send_for(penstock, 500, seed=5)
        wait_until_loaded(penstock)
        before.acknowledged |= after.acknowledged
        before.doubtful |= after.doubtful
        assert_kept(penstock, before)  # what was damaged had been processed already
        reports = damage_reports(penstock.data / "journal")
        assert reports
        assert "received" in str(reports[0]["file"])
        told = " ".join(penstock.command("status").split())
        assert str(reports[0]["file"]) in told
        assert "are lost" in told
    finally:
        penstock.close()


def test_damage_before_processing_is_told_of_not_skipped(tmp_path: Path) -> None:
    penstock = RunningPenstock(tmp_path)
    penstock.apply(WORKSPACE)
    try:
        penstock.start()
        promises = send_for(penstock, 300, seed=6)
        penstock.stop()
        forget_processing(penstock.data)
        kept = kept_without_newest_block(penstock.data)
        damage_newest_block(penstock.data / "journal/received/0")
        penstock.start()
        later = send_for(penstock, 100, seed=8)
        wait_until_loaded(penstock)
        (found,) = penstock.sql("select count(*) as n from shop.tracks")
        assert found["n"] == len(kept | later.acknowledged)
        assert len(promises.acknowledged - kept) <= 80  # no more than what two clients send at once
        assert_refusals_kept(penstock, promises.refused)
        codes = rejected_codes(penstock)
        assert codes.count("journal_damaged") == 1
    finally:
        penstock.close()


def kept_without_newest_block(data: Path) -> set[str]:
    """messageIds of ``received`` that stand in another block than the newest."""
    journal = SqliteJournal(data / "journal")
    try:
        blocks = journal.read(RECEIVED, 0, 0, 1_000_000).blocks
        return {r.message_id for block in blocks[:-1] for r in decode_records(block.body)}
    finally:
        journal.close()


def rejected_codes(penstock: RunningPenstock) -> list[str]:
    """The codes of everything rejected."""
    from tests.recovery.traffic import _decode_rejected

    from penstock.journal.contract import REJECTED
    from penstock.journal.sqlite import SqliteJournal

    journal = SqliteJournal(penstock.data / "journal")
    try:
        return [
            record.code
            for part in journal.partitions(REJECTED)
            for block in journal.read(REJECTED, part, 0, 1_000_000).blocks
            for record in _decode_rejected(block.body)
        ]
    finally:
        journal.close()


def damage_newest_block(folder: Path) -> int:
    """Change bytes of the newest block behind SQLite's back; returns its number of events."""
    newest = max(folder.glob("*.sqlite"))
    with sqlite3.connect(newest) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        first, count, body = connection.execute(
            "SELECT first, count, body FROM blocks ORDER BY first DESC LIMIT 1"
        ).fetchone()
        changed = body[: len(body) // 2] + bytes([body[len(body) // 2] ^ 0xFF]) + body[
            len(body) // 2 + 1 :
        ]  # fmt: skip
        connection.execute("UPDATE blocks SET body = ? WHERE first = ?", (changed, first))
    connection.close()
    return int(count)


def forget_processing(data: Path) -> None:
    """As if the engine had been killed before anything was processed."""
    import shutil

    shutil.rmtree(data / "journal/events")
    shutil.rmtree(data / "journal/counts")
    shutil.rmtree(data / "dedupe")
    (data / "warehouse.duckdb").unlink()
    with sqlite3.connect(data / "journal/positions.sqlite") as connection:
        connection.execute("DELETE FROM positions")
    connection.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = f"needs permission to mount a small file system ({done.stderr.strip()})"
        if is_required("mount"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_never_answered_with_200(small_disk: Path) -> None:
    """The watermark is off, so writes really fail; then room returns."""
    penstock = RunningPenstock(small_disk, settings={"PENSTOCK_MIN_FREE_DISK": "0"})
    penstock.apply(WORKSPACE)
    ballast = small_disk / "ballast"
    try:
        penstock.start()
        traffic = Traffic(penstock.port, clients=3, seed=7)
        traffic.start()
        while traffic.acknowledged() < 500:
            pass_time()
        fill(ballast)
        while traffic.in_doubt() < 200:
            pass_time()
        ballast.unlink()
        acknowledged = traffic.acknowledged()
        while traffic.acknowledged() < acknowledged + 500:
            pass_time()
        promises = traffic.stop()
        wait_until_loaded(penstock)
        assert_kept(penstock, promises)
    finally:
        penstock.close()


def fill(ballast: Path) -> None:
    """Take all the room there is."""
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue


def test_the_watermark_answers_503_with_retry_after(tmp_path: Path) -> None:
    penstock = RunningPenstock(tmp_path, settings={"PENSTOCK_MIN_FREE_DISK": str(1 << 60)})
    penstock.apply(WORKSPACE)
    try:
        penstock.start(until="/health")
        connection = http.client.HTTPConnection("127.0.0.1", penstock.port, timeout=60)
        body = json.dumps({"writeKey": "kill-key", "userId": "u", "event": "E"})
        connection.request("POST", "/v1/track", body)
        answer = connection.getresponse()
        assert answer.status == 503
        assert int(answer.getheader("Retry-After", "0")) > 0
        assert json.loads(answer.read())["code"] == "unavailable"
        connection.request("GET", "/ready")
        ready = connection.getresponse()
        assert ready.status == 503
        assert "disk" in ready.read().decode()
        connection.close()
    finally:
        penstock.close()


def test_a_clock_set_back_while_events_come_in_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """The wall clock of every process jumps back a day, crashes there, and jumps forward again."""
    offset = tmp_path / "clock"
    offset.write_text("0")
    penstock = RunningPenstock(
        tmp_path,
        settings={
            "PYTHONPATH": str(Path(__file__).parent / "shifted_clock"),
            "PENSTOCK_TEST_CLOCK": str(offset),
        },
    )

    def let_pass(traffic: Traffic) -> None:
        acknowledged, until = traffic.acknowledged(), time.monotonic() + 2
        while traffic.acknowledged() < acknowledged + 1_000 or time.monotonic() < until:
            pass_time()

    def set_clock(seconds: int) -> None:
        moved = tmp_path / "moved"
        moved.write_text(str(seconds))
        moved.rename(offset)

    penstock.apply(WORKSPACE)
    try:
        penstock.start()
        traffic = Traffic(penstock.port, clients=3, seed=9)
        traffic.start()
        let_pass(traffic)
        set_clock(-86_400)
        let_pass(traffic)
        penstock.kill()
        penstock.start()
        let_pass(traffic)
        set_clock(-3_600)
        let_pass(traffic)
        set_clock(0)
        let_pass(traffic)
        promises = traffic.stop()
        wait_until_loaded(penstock)
        assert_kept(penstock, promises)
        (seen,) = penstock.sql(
            "select max(received_at) - min(received_at) < interval 1 hour as held, "
            "max(loaded_at) - min(loaded_at) > interval 20 hours as jumped from shop.tracks"
        )
        assert seen == {"held": True, "jumped": True}
    finally:
        penstock.close()
