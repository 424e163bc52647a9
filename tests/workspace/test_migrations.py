"""A state store of the first format, opened by this Penstock."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from penstock.workspace.migrate import newest
from penstock.workspace.store import Workspace
from penstock.workspace.tables import FORMAT_VERSION, metadata

_FORMAT_1 = """
CREATE TABLE about (format_version INTEGER NOT NULL, revision INTEGER NOT NULL);
CREATE TABLE sources (slug VARCHAR NOT NULL, name VARCHAR NOT NULL, type VARCHAR NOT NULL,
    space VARCHAR NOT NULL, enabled BOOLEAN NOT NULL, write_keys JSON NOT NULL,
    PRIMARY KEY (slug));
INSERT INTO about VALUES (1, 7);
INSERT INTO sources VALUES ('web', 'Web', 'browser', 'default', 1, '["k1", "k2"]');
"""
_OPEN = """
import sys
from pathlib import Path
from penstock.workspace.store import Workspace
sys.stdin.read()
workspace = Workspace(Path(sys.argv[1]))
print(workspace.revision(), workspace.source("web").write_keys, "alembic" in sys.modules)
workspace.close()
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    file = tmp_path / "state.sqlite"
    connection = sqlite3.connect(file)
    connection.executescript(_FORMAT_1)
    connection.close()
    file.chmod(0o644)
    return file


def _open_in(file: Path, processes: int) -> list[tuple[str, str, int]]:
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _OPEN, str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(processes)
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.close()
        child.stdin = None
    return [(*child.communicate(timeout=180), child.returncode) for child in children]


def test_many_processes_open_an_old_store_at_once(old: Path) -> None:
    ends = _open_in(old, 8)
    assert [(err, code) for _, err, code in ends] == [("", 0)] * 8
    assert {out.rpartition(" ")[0] for out, _, _ in ends} == {"7 ('k1', 'k2')"}
    assert sum(out.endswith("True\n") for out, _, _ in ends) == 1, "one of them migrates"
    assert _rows(old, "select format_version, revision from about") == [(FORMAT_VERSION, 7)]


def test_alembic_is_not_imported_for_a_store_of_today(old: Path) -> None:
    Workspace(old).close()
    assert _open_in(old, 1) == [("7 ('k1', 'k2') False\n", "", 0)]


def test_a_migrated_store_is_like_a_new_one(old: Path, tmp_path: Path) -> None:
    Workspace(old).close()
    fresh = tmp_path / "fresh.sqlite"
    Workspace(fresh).close()
    tables = "select name from sqlite_master where type = 'table' order by name"
    assert _rows(old, tables) == _rows(fresh, tables)
    for (table,) in _rows(fresh, tables):
        columns = f"select name, type, \"notnull\", pk from pragma_table_info('{table}')"
        assert sorted(_rows(old, columns)) == sorted(_rows(fresh, columns)), table
    engine = create_engine(f"sqlite:///{old}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_the_number_of_the_format_is_that_of_the_newest_migration() -> None:
    assert newest() == FORMAT_VERSION


def test_a_migration_that_fails_changes_nothing(old: Path) -> None:
    connection = sqlite3.connect(old)
    connection.execute("create table users (mine)")
    connection.commit()
    connection.close()
    before = _rows(old, "select sql from sqlite_master")
    with pytest.raises(OperationalError, match="users"):
        Workspace(old)
    assert _rows(old, "select sql from sqlite_master") == before
    assert _rows(old, "select format_version from about") == [(1,)]


@pytest.mark.parametrize("prepare", [lambda file: None, lambda file: Workspace(file).close()])
def test_only_its_owner_may_read_it(
    old: Path, tmp_path: Path, prepare: Callable[[Path], None]
) -> None:
    for file in (old, tmp_path / "new.sqlite"):
        prepare(file)
        workspace = Workspace(file)
        workspace.put_sources([])
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("*sqlite*")}
        workspace.close()
        assert set(modes.values()) == {0o600}, modes


def _rows(file: Path, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(file)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()
