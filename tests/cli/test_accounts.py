"""``penstock tokens`` and ``penstock users``, and commands on a Penstock elsewhere."""

from __future__ import annotations

import io
import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from penstock.cli.engine_api import EngineApi, local_api, remote_api
from penstock.errors import ConfigurationError, EngineUnreachable
from penstock.settings import Settings
from penstock.workspace.store import Workspace
from tests.cli.conftest import Run
from tests.running import RunningPenstock, free_ports

PASSWORD = "correct horse battery"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts a line on the standard input."""
    return lambda line: monkeypatch.setattr(sys, "stdin", io.StringIO(f"{line}\n"))


def test_tokens(run: Run, folder: Path) -> None:
    made = run("tokens", "create", "BI", "--scope", "sql:read", "--days", "30", "--data", folder)
    secret = made.text.strip()
    assert (made.code, made.err) == (0, "") and secret.startswith("pst_")
    again = json.loads(run("tokens", "create", "x", "--role", "viewer", "--json",
                           "--data", folder).out)  # fmt: skip
    listed = run("tokens", "list", "--data", folder)
    assert "sql:read" in listed.text and "viewer" in listed.text and secret not in listed.text
    assert "valid until" in listed.text and "never" in listed.text
    assert run("tokens", "revoke", again["id"], "--data", folder).code == 0
    states = {each["name"]: each["revoked_at"] for each in
              json.loads(run("tokens", "list", "--json", "--data", folder).out)}  # fmt: skip
    assert states["BI"] is None and states["x"]
    workspace = Workspace(Settings(data=folder).state_file)
    assert workspace.accounts.identify(secret) is not None
    assert {entry.actor.kind for entry in workspace.audit.entries()} == {"command"}
    workspace.close()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("tokens", "create", "x"), 2, "--role or --scope"),
        (("tokens", "create", "x", "--role", "boss"), 1, "one of viewer, editor, administrator"),
        (("tokens", "create", "x", "--scope", "all"), 1, "unknown scope 'all'"),
        (("tokens", "revoke", "nope"), 1, "no token nope"),
        (("users", "remove", "nope"), 1, "no user nope"),
        (("users", "role", "nope", "editor"), 1, "no user nope"),
    ],
)
def test_what_is_wrong_is_told(
    run: Run, folder: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    done = run(*arguments, "--data", folder)
    assert (done.code, done.out) == (code, b"")
    assert says in " ".join(done.err.split())


def test_users(run: Run, folder: Path, typed: Any) -> None:
    typed(PASSWORD)
    done = run("users", "add", "root@example.com", "--role", "administrator", "--data", folder)
    assert done.text == "added root@example.com, administrator\n"
    typed("")
    made = run("users", "add", "ada@example.com", "--data", folder).text
    password = made.partition("changed: ")[2].strip()
    assert len(password) == 20
    workspace = Workspace(Settings(data=folder).state_file)
    assert workspace.accounts.log_in("ada@example.com", password, "")
    assert run("users", "role", "ada@example.com", "editor", "--data", folder).code == 0
    typed(f"{PASSWORD} 2")
    assert run("users", "password", "ada@example.com", "--data", folder).code == 0
    assert workspace.accounts.log_in("ada@example.com", f"{PASSWORD} 2", "")
    listed = run("users", "list", "--data", folder).text
    assert "ada@example.com" in listed and "editor" in listed and PASSWORD not in listed
    assert run("users", "remove", "ada@example.com", "--data", folder).code == 0
    last = run("users", "remove", "root@example.com", "--data", folder)
    assert (last.code, "last administrator" in last.err) == (1, True)
    workspace.close()


def test_commands_on_a_running_penstock(
    run: Run, tmp_path: Path, typed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    penstock = RunningPenstock(tmp_path)
    file = tmp_path / "web.yaml"
    file.write_text("sources:\n  app: {name: App, rate_limit: 5}\n")
    try:
        penstock.start()
        deadline = time.monotonic() + 60
        while local_api(Settings(data=penstock.data)) is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        applied = run("apply", file, "--data", penstock.data)
        assert applied.text.startswith("+ sources.app\n1 applied\nwrite key of app: ")
        workspace = Workspace(Settings(data=penstock.data).state_file)
        newest = workspace.audit.entries(limit=1)[0]
        assert (newest.subject, newest.actor.kind, newest.actor.name) == (
            "source:app", "command", "local",
        )  # fmt: skip
        workspace.close()
        token = run("tokens", "create", "far", "--role", "administrator",
                    "--data", penstock.data).text.strip()  # fmt: skip
        monkeypatch.setenv("PENSTOCK_URL", penstock.console_url)
        refused = run("export")
        assert (refused.code, "set PENSTOCK_TOKEN" in refused.err) == (1, True)
        monkeypatch.setenv("PENSTOCK_TOKEN", token)
        assert run("export").text == run("export", "--data", penstock.data).text
        assert run("apply", file).text.endswith("nothing to change\n")
        assert json.loads(run("sql", "select 42 as n", "--format", "json").out) == [{"n": 42}]
        wrong = run("sql", "drop table x")
        assert (wrong.code, "statements that read" in wrong.err) == (1, True)
        typed(PASSWORD)
        assert run("users", "add", "ada", "--role", "editor").code == 0
        assert run("users", "role", "ada", "viewer").code == 0
        assert "viewer" in run("users", "list").text
        assert run("users", "remove", "ada").code == 0
        made = json.loads(run("tokens", "create", "x", "--role", "viewer", "--json").out)
        assert run("tokens", "revoke", made["id"]).code == 0
        assert "revoked" in run("tokens", "list").text
        assert not (tmp_path / "penstock-data").exists(), "nothing is made here"
        assert penstock.stop() == 0
    finally:
        penstock.close()
    assert local_api(Settings(data=penstock.data)) is None
    monkeypatch.delenv("PENSTOCK_URL")
    assert "app" in run("export", "--data", penstock.data).text


def test_which_penstock_is_meant() -> None:
    environment = {"PENSTOCK_URL": "http://127.0.0.1:1", "PENSTOCK_TOKEN": "t"}
    assert remote_api(None, None, environment) is not None
    assert remote_api(None, Path("here"), environment) is None, "a folder comes before a variable"
    assert remote_api("http://127.0.0.1:1", Path("here"), environment) is not None
    assert remote_api(None, None, {}) is None
    with pytest.raises(ConfigurationError, match="no address"):
        remote_api("cdp.example.com", None, environment)


def test_nobody_answers() -> None:
    (port,) = free_ports(1)
    with pytest.raises(EngineUnreachable, match="does not answer"):
        EngineApi(f"http://127.0.0.1:{port}", "t").call("GET", "/me")
