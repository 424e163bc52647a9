"""Small promises of commands: what they list, wait for and say."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from penstock.engine import DataFolderLock, holder, is_running
from penstock.settings import Settings
from tests.cli.conftest import Run

_HOLD = """
import sys, time, pathlib
from penstock.engine import DataFolderLock
lock = DataFolderLock(pathlib.Path(sys.argv[1]), engine=False)
print("held", flush=True)
time.sleep(float(sys.argv[2]))
lock.release()
"""


@pytest.mark.parametrize("statement", ["show tables", "SHOW ALL TABLES;"])
def test_show_tables_lists_those_of_every_source(run: Run, data: Path, statement: str) -> None:
    rows = json.loads(run("sql", statement, "--format", "json", "--data", data).out)
    assert {(row["source"], row["table"]) for row in rows} >= {
        ("web", "tracks"), ("web", "toast_buttered"), ("penstock", "progress"),
    }  # fmt: skip
    assert next(row["rows"] for row in rows if row["table"] == "toast_buttered") == 3


def test_output_to_a_file_is_told(run: Run, data: Path, tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    done = run("sql", "from web.tracks", "--format", "csv", "-o", file, "--data", data)
    assert (done.out, done.err) == (b"", f"wrote 3 rows as csv to {file}\n")


def test_a_query_waits_for_another_command_and_does_not_take_it_for_an_engine(
    run: Run, data: Path
) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(data / "run"), "3"], stdout=subprocess.PIPE
    )
    assert other.stdout is not None and other.stdout.readline() == b"held\n"
    began = time.monotonic()
    try:
        assert holder(data / "run") == "command"
        assert not is_running(Settings(data=data))
        done = run("sql", "select 1 as one", "--data", data)
    finally:
        other.communicate(timeout=60)
    assert (done.code, done.err) == (0, "")
    assert time.monotonic() - began < 30


def test_an_engine_says_so_in_its_lock(tmp_path: Path) -> None:
    assert holder(tmp_path) == "nobody"
    lock = DataFolderLock(tmp_path)
    assert holder(tmp_path) == "engine"
    lock.release()
    assert holder(tmp_path) == "nobody"


def test_a_figure_that_does_not_exist_is_wrong_use(run: Run) -> None:
    done = run("bench", "--only", "nothing")
    assert done.code == 2
    assert "no figure has 'nothing'" in done.err
    assert "journal append" in done.err


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ("{nme: Shop}", "unknown field 'nme'; did you mean name?"),
        ("{zzzz: 1}", "unknown field 'zzzz'; one of name, type"),
        ("{enabled: maybe}", "enabled must be true or false, not text"),
        ("{write_keys: one}", "write_keys must be a list, not text"),
        ("{name: [x]}", "name must be text, not a list"),
    ],
)
def test_a_workspace_file_is_refused_in_plain_words(
    run: Run, tmp_path: Path, fields: str, says: str
) -> None:
    file = tmp_path / "penstock.yaml"
    file.write_text(f"sources:\n  shop: {fields}\n")
    done = run("apply", file, "--data", tmp_path / "data")
    assert done.code == 1
    assert f"sources.shop: {says}" in done.err
    assert "`" not in done.err
