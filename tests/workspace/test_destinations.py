"""Destinations and functions as resources: whole or not at all, and secrets never in clear."""

from __future__ import annotations

import json
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from penstock.destinations.model import DestinationSetup, Filter, FunctionSetup, MappingSetup
from penstock.errors import AlreadyExists, ConfigurationError, NotFound
from penstock.events.model import Source
from penstock.workspace import Contents, Workspace, dump, load
from penstock.workspace.audit import Actor
from penstock.workspace.sealing import MASK, Seal

BY = Actor("token", "tests", "192.0.2.7")
HOOK = DestinationSetup(
    "hook", "webhook",
    settings={"url": "https://example.com/hook", "shared_secret": "hunter2-hunter2"},
)  # fmt: skip
LOYAL = FunctionSetup("loyal", "loyal.py", settings={"api_key": "function-secret", "limit": 3})
SECRETS = ("hunter2-hunter2", "function-secret", "another-secret")


@pytest.fixture
def now() -> list[int]:
    return [1_000]


@pytest.fixture
def workspace(tmp_path: Path, now: list[int]) -> Iterator[Workspace]:
    opened = Workspace(tmp_path / "state.sqlite", now_us=lambda: now[0])
    opened.put_sources([Source("web", "Web", write_keys=("k",))], BY)
    yield opened
    opened.close()


def _stored(folder: Path) -> bytes:
    """All that is on disk but the key."""
    return b"".join(
        path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".key"
    )


def test_it_comes_back_as_it_was_put(workspace: Workspace) -> None:
    full = msgspec.structs.replace(
        HOOK,
        name="Orders",
        sources=("web",),
        filters=(Filter(drop='event = "Ping"'), Filter(sample=0.5, by="userId")),
        mappings=(MappingSetup("send", trigger='type = "track"', fields={"data": {"a": None}}),),
        consent=("marketing",),
        functions=("loyal",),
    )
    before = workspace.revision()
    workspace.put_functions([LOYAL], BY)
    workspace.put_destinations([full], BY)
    assert workspace.destinations() == [full]
    assert workspace.functions() == [LOYAL]
    assert workspace.revision() == before + 2
    workspace.put_destinations([full], BY)
    assert workspace.revision() == before + 2, "nothing changed"


def test_secrets_are_on_disk_encrypted_alone(workspace: Workspace, tmp_path: Path) -> None:
    workspace.put_functions([LOYAL], BY)
    workspace.put_destinations([HOOK], BY)
    stored = _stored(tmp_path)
    assert b"https://example.com/hook" in stored
    for secret in SECRETS:
        assert secret.encode() not in stored
    assert stat.S_IMODE((tmp_path / "secret.key").stat().st_mode) == 0o600
    log = json.dumps([msgspec.to_builtins(entry) for entry in workspace.audit.entries()])
    assert "destination:hook" in log and "function:loyal" in log
    assert not any(secret in log for secret in SECRETS)


def test_a_mask_means_the_secret_that_is_stored(workspace: Workspace) -> None:
    workspace.put_destinations([HOOK], BY)
    shown = workspace.destination("hook", secrets=False)
    assert shown.settings == {"url": "https://example.com/hook", "shared_secret": MASK}
    revision = workspace.revision()
    workspace.put_destinations([shown], BY)
    assert (workspace.destination("hook"), workspace.revision()) == (HOOK, revision)

    def elsewhere(before: DestinationSetup) -> DestinationSetup:
        assert before.settings["shared_secret"] == MASK
        return msgspec.structs.replace(before, settings={**before.settings, "url": "https://b.c"})

    workspace.change_destination("hook", elsewhere, BY)
    assert workspace.destination("hook").settings == {
        "url": "https://b.c", "shared_secret": "hunter2-hunter2",
    }  # fmt: skip
    with pytest.raises(ConfigurationError, match=r"destinations\.new: settings\.shared_secret"):
        workspace.put_destinations([msgspec.structs.replace(shown, slug="new")], BY)


def test_another_secret_is_told_as_a_change_and_masked_in_the_log(workspace: Workspace) -> None:
    workspace.put_destinations([HOOK], BY)
    other = {**HOOK.settings, "shared_secret": "another-secret"}
    (change,) = workspace.put_destinations([msgspec.structs.replace(HOOK, settings=other)], BY)
    assert (change.action, change.detail) == ("update", "settings")
    assert workspace.destination("hook").settings == other
    entry = workspace.audit.entries(subject="destination:hook")[0]
    assert entry.after is not None and entry.after["settings"]["shared_secret"] == MASK


def test_without_the_key_secrets_are_masked_still_and_can_be_set_again(
    workspace: Workspace, tmp_path: Path
) -> None:
    workspace.put_destinations([HOOK, msgspec.structs.replace(HOOK, slug="second")], BY)
    key = tmp_path / "secret.key"
    kept = key.read_text()
    key.unlink()
    assert workspace.destination("hook", secrets=False).settings["shared_secret"] == MASK
    with pytest.raises(ConfigurationError, match=r"put it back as .*secret\.key"):
        workspace.destinations()
    workspace.put_destinations([HOOK], BY)
    assert workspace.destination("hook") == HOOK
    with pytest.raises(ConfigurationError, match=r"destinations\.second: .*not the key"):
        workspace.destination("second")
    key.write_text(f"{key.read_text()}{kept}")
    assert workspace.destination("second").settings == HOOK.settings


def test_a_file_that_is_no_key_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_text("password\n")
    with pytest.raises(ConfigurationError, match="is no key"):
        workspace.put_destinations([HOOK], BY)
    assert workspace.destinations() == []


def test_many_make_one_key(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from penstock.workspace.sealing import Seal\n"
        "sys.stdin.read(); print(Seal(Path(sys.argv[1])).close_up('s'))"
    )
    file = tmp_path / "secret.key"
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(file)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(8)
    ]  # fmt: skip
    sealed = [child.communicate("", timeout=180)[0].strip() for child in children]
    assert [Seal(file).open_up(each) for each in sealed] == ["s"] * 8
    assert [path.name for path in tmp_path.iterdir()] == ["secret.key"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"slug": "Hook"}, "a slug is"),
        ({"slug": "all"}, "none of all"),
        ({"type": "webhok"}, "did you mean webhook"),
        ({"sources": ("wep",)}, "there is no source wep; did you mean web?"),
        ({"sources": ("web", "web")}, "stands twice"),
        ({"functions": ("gone",)}, "there is no function gone"),
        ({"settings": {}}, "url"),
        ({"settings": {"url": "https://a.b", "sekret": "x"}}, "sekret"),
        ({"filters": (Filter(drop="a"),) * 11}, "at most 10"),
        ({"mappings": (MappingSetup("send"),) * 51}, "at most 50"),
        ({"mappings": (MappingSetup("sent"),)}, "send"),
        ({"mappings": (MappingSetup("send", trigger='type = "track'),)}, "position"),
        ({"filters": (Filter(drop="event ="),)}, "position"),
        ({"delivery": {"window": -1.0}}, "delivery.window"),
        ({"delivery": {"concurrency": 0}}, "delivery.concurrency"),
    ],
)
def test_what_is_wrong_is_told_with_its_place_and_nothing_is_stored(
    workspace: Workspace, changes: dict[str, Any], says: str
) -> None:
    fields = msgspec.to_builtins(HOOK) | {k: msgspec.to_builtins(v) for k, v in changes.items()}
    wrong = msgspec.convert(fields, DestinationSetup)
    revision = workspace.revision()
    for dry_run in (True, False):
        with pytest.raises(ConfigurationError, match="destinations") as told:
            good = msgspec.structs.replace(HOOK, slug="good")
            workspace.apply(Contents(destinations=(good, wrong)), BY, dry_run=dry_run)
        assert says in str(told.value)
    assert (workspace.destinations(), workspace.revision()) == ([], revision)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"file": "../loyal.py"}, "a Python file in the folder functions"),
        ({"file": "/etc/loyal.py"}, "a Python file in the folder functions"),
        ({"file": "loyal.txt"}, "a Python file in the folder functions"),
        ({"sources": ("gone",)}, "there is no source gone"),
        ({"timeout": 0.0}, "timeout"),
        ({"memory": 5}, "memory"),
    ],
)
def test_a_function_that_is_wrong(workspace: Workspace, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=r"functions\.loyal") as told:
        workspace.put_functions([msgspec.structs.replace(LOYAL, **changes)], BY)
    assert says in str(told.value)


def test_a_destination_and_its_source_and_function_come_together(workspace: Workspace) -> None:
    app = Source("app", "App", write_keys=("k2",))
    hook = msgspec.structs.replace(HOOK, sources=("app",), functions=("loyal",))
    wanted = Contents((app,), (hook,), (LOYAL,))
    planned, _ = workspace.apply(wanted, BY, dry_run=True)
    assert [str(change) for change in planned] == [
        "+ sources.app", "+ functions.loyal", "+ destinations.hook",
    ]  # fmt: skip
    assert workspace.contents().destinations == ()
    done, _ = workspace.apply(wanted, BY)
    assert done == planned
    again, _ = workspace.apply(wanted, BY)
    assert {change.action for change in again} == {"keep"}
    with pytest.raises(ConfigurationError, match="destination hook uses loyal"):
        workspace.delete_function("loyal", BY)
    workspace.delete_destination("hook", BY)
    workspace.delete_function("loyal", BY)
    with pytest.raises(NotFound):
        workspace.delete_destination("hook", BY)


def test_a_dry_run_leaves_no_key(workspace: Workspace, tmp_path: Path) -> None:
    workspace.apply(Contents(destinations=(HOOK,)), BY, dry_run=True)
    assert not (tmp_path / "secret.key").exists()


def test_a_destination_keeps_its_type_and_is_created_once(workspace: Workspace) -> None:
    workspace.add_destination(HOOK, BY)
    with pytest.raises(AlreadyExists):
        workspace.add_destination(HOOK, BY)
    other = msgspec.structs.replace(HOOK, type="slack")
    with pytest.raises(ConfigurationError, match="it is a webhook; delete it first"):
        workspace.put_destinations([other], BY)


def test_it_starts_when_it_is_made_and_when_it_is_enabled_again(
    workspace: Workspace, now: list[int]
) -> None:
    def put(at: int, **fields: Any) -> int:
        now[0] = at
        workspace.put_destinations([msgspec.structs.replace(HOOK, **fields)], BY)
        return workspace.destination_starts()["hook"]

    assert put(5) == 5
    assert put(6, name="Other") == 5
    assert put(7, enabled=False) == 5
    assert put(8) == 8


def test_the_file_there_and_back(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.put_functions([LOYAL], BY)
    workspace.put_destinations(
        [
            msgspec.structs.replace(
                HOOK,
                functions=("loyal",),
                filters=(Filter(drop='event != "Order Completed"'),),
                mappings=(MappingSetup("send", fields={"env": {"@path": "$.event"}}),),
            )
        ],
        BY,
    )
    text = dump(workspace.contents())
    assert not any(secret in text for secret in SECRETS)
    assert "shared_secret:\n        env: DESTINATION_HOOK_SHARED_SECRET" in text
    assert text.startswith("# Secrets are not exported")
    file = tmp_path / "penstock.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match="set the environment variable DESTINATION_HOOK_"):
        load(file)
    monkeypatch.setenv("DESTINATION_HOOK_SHARED_SECRET", "hunter2-hunter2")
    monkeypatch.setenv("FUNCTION_LOYAL_API_KEY", "function-secret")
    changes, _ = workspace.apply(load(file), BY)
    assert {change.action for change in changes} == {"keep"}
    other = Workspace(tmp_path / "other" / "state.sqlite")
    other.apply(load(file), BY)
    assert other.destinations() == workspace.destinations()
    assert dump(other.contents()) == text
    other.close()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("destinations: [hook]", "`destinations` must map slugs"),
        ("destinations: {hook: {}}", "destinations.hook: a destination needs type"),
        ("destinations: {hook: {type: webhook, sorces: [a]}}", "did you mean sources?"),
        ("destinations: {hook: {type: webhook, sources: web}}", "sources must be a list"),
        ("destinations: {hook: {type: webhook, filters: [{dorp: x}]}}", "did you mean drop?"),
        ("destinations: {hook: {type: webhook, mappings: [{trigger: x}]}}",
         "mappings[0] needs action"),
        ("destinations: {hook: {type: webhook, delivery: {window: 4h}}}",
         "delivery.window must be a number, not text"),
        ("functions: {loyal: {fiel: x}}", "did you mean file?"),
    ],
)  # fmt: skip
def test_a_file_that_is_wrong(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "penstock.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as told:
        load(file)
    assert str(file) in str(told.value) and says in str(told.value)


def test_rows_of_a_raw_reader(workspace: Workspace, tmp_path: Path) -> None:
    """What small processes read without the workspace's own code."""
    workspace.put_destinations([HOOK], BY)
    connection = sqlite3.connect(tmp_path / "state.sqlite")
    assert connection.execute("select slug, enabled, since_us from destinations").fetchall() == [
        ("hook", 1, 1_000)
    ]
    connection.close()
