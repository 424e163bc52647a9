"""Help, exit codes, and commands on the wrong folder."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from penstock import __version__
from penstock.engine import DataFolderLock
from penstock.settings import Settings
from tests.cli.conftest import Run
from tests.project.reference import generator
from tests.running import free_ports

COMMANDS = sorted(generator().commands())


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_an_example_in_80_columns(run: Run, name: str) -> None:
    done = run(*name.split(), "--help")
    assert (done.code, done.err) == (0, "")
    assert f"\n  Example: penstock {name}" in done.text
    assert max(map(len, done.text.splitlines())) <= 80


def test_the_list_of_commands_is_not_cut(run: Run) -> None:
    done = run("--help")
    assert (done.code, done.err) == (0, "")
    assert "..." not in done.text.partition("Commands:")[2]
    assert all(f"\n  {name.split()[0]} " in done.text for name in COMMANDS)


def test_version(run: Run) -> None:
    assert run("--version").text == f"penstock {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [("nope",), ("up", "--port", "abc"), ("status", "--nope"), ()]
)
def test_wrong_use_is_2(run: Run, arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.code == 2
    assert "Usage: penstock" in done.err + done.text


@pytest.mark.parametrize("name", ["up", "status", "export", "sql", "apply"])
def test_a_data_folder_that_is_a_file_is_wrong_use(run: Run, tmp_path: Path, name: str) -> None:
    file = tmp_path / "file"
    file.write_text("")
    more = {"sql": ["select 1"], "apply": ["x.yaml"]}.get(name, [])
    done = run(name, *more, "--data", file)
    assert done.code == 2
    assert "is a file" in done.err


def test_a_data_folder_that_cant_be_made_is_told_in_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setenv("PENSTOCK_DATA", str(file / "below"))
    done = run("up")
    assert done.code == 1
    assert done.err == f"penstock: {file / 'below'}: Not a directory\n"


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("PENSTOCK_PORT", "abc", "port (PENSTOCK_PORT): 'abc'"),
        ("PENSTOCK_WORKERS", "0", "workers: at least 1"),
        ("PENSTOCK_DEDUPE_WINDOW", "soon", "a duration such as 24h"),
        ("PENSTOCK_UNKNOWN_KEY_STATUS", "404", "use 401 or 200"),
    ],
)
def test_a_wrong_setting_is_told(
    run: Run, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, says: str
) -> None:
    monkeypatch.setenv(variable, value)
    done = run("up")
    assert (done.code, done.out) == (1, b"")
    assert says in done.err


def test_a_second_engine_is_refused(run: Run, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    settings = Settings(data=tmp_path / "data")
    lock = DataFolderLock(settings.run_folder)
    try:
        done = run("up", "--data", settings.data, "--port", str(port))
    finally:
        lock.release()
    assert (done.code, done.out) == (1, b"")
    assert f"the data folder {settings.data} is in use by process" in done.err
    assert "--data" in done.err


def test_a_port_is_needed(run: Run, tmp_path: Path) -> None:
    done = run("up", "--data", tmp_path / "data", "--port", "0")
    assert done.code == 1
    assert "--port" in done.err


def test_a_console_port_that_is_taken_is_told(run: Run, tmp_path: Path) -> None:
    port, console_port = free_ports(2)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", console_port))
        taken.listen()
        ports = ("--port", str(port), "--console-port", str(console_port))
        done = run("up", "--data", tmp_path / "data", *ports)
    assert (done.code, done.out) == (1, b"")
    assert f"can't listen on 127.0.0.1:{console_port}" in done.err
    assert "--console-port" in done.err
    same = run("up", "--data", tmp_path / "data", "--port", str(port), "--console-port", str(port))
    assert (same.code, "a port each" in same.err) == (1, True)


def test_a_closed_pipe_leaves_no_traceback(data: Path) -> None:
    command = f"{sys.executable} -m penstock sql 'from range(300000)' --data {data} | head -n 1"
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, timeout=180, check=True
    )
    assert done.stdout.strip() == "range"
    assert "Traceback" not in done.stderr


def test_a_new_data_folder_is_its_owners_alone(tmp_path: Path) -> None:
    """It will hold everything people did, and their names."""
    from penstock.workspace.store import Workspace

    Workspace(tmp_path / "data" / "state.sqlite").close()
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
