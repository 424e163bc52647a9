"""``penstock tail``, ``rejected`` and ``schema`` on folders written by hand; no engine runs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.monitor.store import MonitorStore
from tests.cli.conftest import Run
from tests.monitor.journals import START_US, Journals, event, refused


@pytest.fixture
def journals(tmp_path: Path) -> Iterator[Journals]:
    made = Journals(tmp_path / "d")
    yield made
    made.close()


@pytest.mark.parametrize("command", ["tail", "rejected", "schema"])
def test_without_a_data_folder(run: Run, tmp_path: Path, command: str) -> None:
    done = run(command, "--data", tmp_path / "none")
    assert done.code == 1
    assert "up --data" in done.err
    assert not (tmp_path / "none").exists()


def test_tail_prints_aligned_lines_and_no_control_characters(run: Run, journals: Journals) -> None:
    journals.receive(event("m1", "Order Completed"), event("m2", "\x1b[31mred", START_US + 1))
    journals.reject(refused("too_large", START_US + 2, source=""))
    done = run("tail", "--data", journals.data, "--for", "0s")
    first, second, third = done.text.splitlines()
    assert first.split() == ["10:00:00.000", "web", "received", "Order", "Completed", "u1", "m1"]
    assert "\x1b" not in second
    assert second.index("u1") == first.index("u1")
    assert third.endswith("too_large: because of too_large")


def test_tail_says_what_it_leaves_out(run: Run, journals: Journals) -> None:
    for start in range(0, 6_000, 1_000):
        journals.receive(*(event(f"m{start + n}") for n in range(1_000)))
    done = run("tail", "--data", journals.data, "-n", "0", "--for", "0s")
    assert (done.text, done.err) == ("", "")
    lines = run("tail", "--data", journals.data, "-n", "3", "--for", "0s", "--json").text
    assert [json.loads(line)["message_id"] for line in lines.splitlines()] == [
        "m5997", "m5998", "m5999",
    ]  # fmt: skip


@pytest.mark.parametrize("duration", ["soon", "10 years", ""])
def test_tail_for_no_time(run: Run, journals: Journals, duration: str) -> None:
    journals.receive(event("m1"))
    assert run("tail", "--data", journals.data, "--for", duration).code == 2


def test_rejected_gives_back_every_byte(run: Run, journals: Journals, tmp_path: Path) -> None:
    original = bytes(range(256))
    journals.reject(refused("invalid_json", original=original))
    (entry,) = json.loads(run("rejected", "--data", journals.data, "--json").out)
    assert run("rejected", "--data", journals.data, "--raw", entry["id"]).out == original
    out = tmp_path / "original"
    run("rejected", "--data", journals.data, "--raw", entry["id"], "--out", out)
    assert out.read_bytes() == original
    unknown = run("rejected", "--data", journals.data, "--raw", "9-9")
    assert (unknown.code, "no refused entry '9-9'" in unknown.err) == (1, True)
    assert run("rejected", "--data", journals.data, "--out", out).code == 2


def test_rejected_says_when_there_is_nothing_and_when_there_is_more(
    run: Run, journals: Journals
) -> None:
    journals.reject(refused("too_large"), refused("too_large"))
    assert "nothing was refused" in run("rejected", "--data", journals.data, "--code", "x").err
    done = run("rejected", "--data", journals.data, "--limit", "1")
    assert done.text.count("too_large: because") == 1
    assert "--limit shows more" in done.err


def test_schema_of_a_source_and_of_an_event(run: Run, journals: Journals) -> None:
    journals.store(*(event(f"m{n}", "Paid", properties={"total": n}) for n in range(150)))
    store = MonitorStore(journals.data / "monitor.sqlite")
    journals.worker(store).step()
    store.close()
    listed = run("schema", "--data", journals.data).text.splitlines()[-1].split("│")
    assert [cell.strip() for cell in listed][:6] == [
        "web", "Paid", "150", "0", "1", "2026-01-05 10:00:00",
    ]  # fmt: skip
    text = run("schema", "web", "Paid", "--data", journals.data).text
    assert "web: Paid: 150 stored, 100 of them examined" in text
    assert "integer 100" in text
    assert "no such event" in run("schema", "shop", "--data", journals.data).err


def test_a_limit_ends_though_nothing_more_becomes_of_an_event(
    run: Run, journals: Journals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.cli.tail._SETTLED_S", 0.0)
    journals.receive(event("m1"), event("m2"))
    lines = run("tail", "--data", journals.data, "--limit", "1").text.splitlines()
    assert len(lines) == 1


def test_control_c_ends_it_in_peace(journals: Journals) -> None:
    journals.receive(event("m1"))
    command = [sys.executable, "-m", "penstock", "tail", "--data", str(journals.data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert b"m1" in child.stdout.readline()
        child.send_signal(signal.SIGINT)
        assert (child.wait(60), child.stderr.read()) == (0, b"")
