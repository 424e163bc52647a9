"""The state store: opened by many at once, in folders with odd names."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.errors import ConfigurationError
from penstock.events.model import Source
from penstock.workspace.file import load
from penstock.workspace.rules import RESERVED_SLUGS
from penstock.workspace.store import Workspace
from penstock.workspace.tables import FORMAT_VERSION

_OPEN = """
import sys, time
from pathlib import Path
from penstock.workspace.store import Workspace
from penstock.workspace.tables import FORMAT_VERSION
sys.stdin.read()
workspace = Workspace(Path(sys.argv[1]))
print(workspace.revision())
workspace.close()
"""


def test_many_processes_open_it_for_the_first_time(tmp_path: Path) -> None:
    file = tmp_path / "state.sqlite"
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _OPEN, str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(16)
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.close()
        child.stdin = None
    ends = [(*child.communicate(timeout=180), child.returncode) for child in children]
    assert ends == [("0\n", "", 0)] * 16
    connection = sqlite3.connect(file)
    assert connection.execute("select * from about").fetchall() == [(FORMAT_VERSION, 0)]
    connection.close()


@pytest.mark.parametrize("name", ["what?mode=ro", "a b", "50%", "#1", "ä&ö"])
def test_any_folder_name_will_do(tmp_path: Path, name: str) -> None:
    file = tmp_path / name / "state.sqlite"
    workspace = Workspace(file)
    workspace.put_sources([Source("web", "Web", "browser", write_keys=("k",))])
    workspace.close()
    assert file.is_file()
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
    again = Workspace(file)
    assert ([source.slug for source in again.sources()], again.revision()) == (["web"], 1)
    again.close()


def test_a_newer_format_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "state.sqlite"
    Workspace(file).close()
    connection = sqlite3.connect(file)
    connection.execute("update about set format_version = 99")
    connection.commit()
    with pytest.raises(ConfigurationError, match="newer Penstock"):
        Workspace(file)
    connection.execute("insert into about values (1, 1)")  # nobody holds a lock
    connection.rollback()
    connection.close()


@pytest.mark.parametrize("slug", ["warehouse", "temp", "system", "main"])
def test_names_of_catalogs_are_reserved(tmp_path: Path, slug: str) -> None:
    assert slug in RESERVED_SLUGS
    file = tmp_path / "penstock.yaml"
    file.write_text(f"sources: {{{slug}: {{}}}}")
    with pytest.raises(ConfigurationError, match="none of"):
        load(file)
