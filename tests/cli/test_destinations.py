"""``penstock destinations``, on a folder without an engine."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run

WORKSPACE = """
sources:
  shop: {name: Shop, type: server, write_keys: [shop-1]}
destinations:
  orders_hook:
    type: webhook
    sources: [shop]
    settings: {url: "https://hook.example.com/x", shared_secret: {env: HOOK_SECRET}}
    filters: [{drop: 'event != "Order Completed"'}]
    mappings:
      - action: send
        trigger: type = "track"
        fields: {amount: {"@path": "$.properties.total"}}
"""
EVENT = {"type": "track", "event": "Toast Burnt", "messageId": "m1", "properties": {"total": 19.9}}

BELL = """
from penstock.destinations.contract import Action, Destination, Preset, Request

def ring(call):
    yield Request("POST", "https://bell.test", json=call.payload)

DESTINATION = Destination(slug="bell", name="Bell", help="Rings a bell.", presets=(
    Preset("All", "ring"),), actions=(Action("ring", "Ring", ring, trigger='type = "track"'),))
"""
FUNCTION = """
from penstock.functions import Reject

def on_track(event, settings):
    if event["event"] == "Reject":
        raise Reject("not this one")
    if event["event"] == "Order Completed":
        return None
    return [event, {**event, "properties": {"total": event["properties"]["total"] + 1}}]
"""


@pytest.fixture
def folder(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOOK_SECRET", "hunter2-hunter2")
    file = tmp_path / "penstock.yaml"
    file.write_text(WORKSPACE)
    data = tmp_path / "data"
    done = run("apply", file, "--data", data)
    assert (done.code, done.err) == (0, "")
    assert "+ destinations.orders_hook" in done.text
    return data


@pytest.fixture
def event(tmp_path: Path) -> Path:
    file = tmp_path / "event.json"
    file.write_text(json.dumps(EVENT))
    return file


def test_list(run: Run, folder: Path) -> None:
    listed = run("destinations", "list", "--data", folder)
    assert listed.code == 0
    assert [cell.strip() for cell in listed.text.splitlines()[2].split("│")] == [
        "orders_hook", "webhook", "waiting", "0", "0", "0", "0",
    ]  # fmt: skip
    (item,) = json.loads(run("destinations", "list", "--json", "--data", folder).out)
    assert item["settings"]["shared_secret"] == "********"


def test_show_has_fields_and_mapping_as_a_table(run: Run, folder: Path) -> None:
    shown = run("destinations", "show", "orders_hook", "--data", folder).text
    assert "hunter2" not in shown
    assert 'when type = "track"' in shown
    rows = [[cell.strip() for cell in line.split("│")] for line in shown.splitlines()]
    assert ["data", "object", "", '{"@path": "$."}'] in rows
    assert ["amount", "", "", '{"@path": "$.properties.total"}'] in rows
    assert ["settings.shared_secret", "********"] in rows
    told = json.loads(run("destinations", "show", "orders_hook", "--json", "--data", folder).out)
    assert [field["key"] for field in told["mappings"][0]["fields"]] == ["data", "amount"]


def test_a_trial_without_sending(run: Run, folder: Path, event: Path) -> None:
    test = ("destinations", "test", "orders_hook", "--event", event, "--dry-run")
    done = run(*test, "--source", "shop", "--data", folder)
    assert done.code == 0
    assert "by itself it would not be sent: FILTERED_BY_RULES" in done.text
    assert "> POST https://hook.example.com/x" in done.text
    assert "not sent (--dry-run)" in done.text
    assert '"amount":19.9' in done.text
    assert "hunter2" not in done.text
    told = json.loads(run(*test, "--json", "--data", folder).out)
    assert told["attempts"][0]["payload"]["amount"] == 19.9


def test_a_trial_that_no_mapping_is_for_fails(run: Run, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text('{"type": "identify", "userId": "u1"}')
    done = run("destinations", "test", "orders_hook", "--event", other, "--data", folder)
    assert done.code == 1
    assert "no enabled mapping is for this event" in done.text
    empty = run("destinations", "test", "orders_hook", "--data", folder)
    assert (empty.code, "there is no event yet" in empty.err) == (1, True)


@pytest.mark.skipif(sys.platform != "linux", reason="functions run on Linux only")
def test_a_trial_passes_the_functions_of_the_destination(
    run: Run, folder: Path, event: Path, tmp_path: Path
) -> None:
    (folder / "functions").mkdir()
    (folder / "functions" / "vat.py").write_text(FUNCTION)
    file = tmp_path / "functions.yaml"
    vat = "functions:\n  vat: {file: vat.py, timeout: 30}\n"
    hook = "    type: webhook\n    functions: [vat]\n"
    file.write_text(vat + WORKSPACE.replace("    type: webhook\n", hook))
    done = run("apply", file, "--data", folder)
    assert (done.code, done.err) == (0, "")
    test = ("destinations", "test", "orders_hook", "--dry-run", "--json", "--source", "shop",
            "--data", folder)  # fmt: skip
    told = json.loads(run(*test, "--event", event).out)
    assert [(each["mapping"], each["payload"]["amount"]) for each in told["attempts"]] == [
        (0, 19.9), (0, 20.9),
    ]  # fmt: skip
    assert told["withheld"] == "FILTERED_BY_RULES"
    for name, withheld, code in (
        ("Order Completed", "FILTERED_BY_FUNCTION", []),
        ("Reject", "FILTERED_BY_RULES", ["FUNCTION_REJECTED"]),
    ):
        event.write_text(json.dumps({**EVENT, "event": name}))
        told = json.loads(run(*test, "--event", event).out)
        assert (told["withheld"], [each["code"] for each in told["attempts"]]) == (withheld, code)


def test_catalog(run: Run, folder: Path) -> None:
    assert "webhook" in run("destinations", "catalog", "--data", folder).text
    one = run("destinations", "catalog", "webhook", "--data", folder).text
    assert "shared_secret" in one and "send" in one
    assert run("destinations", "catalog", "webhok", "--data", folder).code == 1


def test_check_names_what_is_wrong_with_a_tool_of_ones_own(run: Run, folder: Path) -> None:
    tools = folder / "destinations"
    tools.mkdir()
    (tools / "bell.py").write_text(BELL)
    done = run("destinations", "check", "bell", "--data", folder)
    assert (done.code, done.text.strip()) == (0, "Bell: nothing was found")
    (tools / "bell.py").write_text(BELL.replace('"ring", "Ring"', '"rang", "Ring"'))
    done = run("destinations", "check", "bell", "--data", folder)
    assert (done.code, "there is no action ring" in done.text) == (1, True)
    assert run("destinations", "check", "adroll", "--data", folder).code == 0


def test_dead_letters_and_replays_of_a_destination_that_sent_nothing(
    run: Run, folder: Path
) -> None:
    letters = ("destinations", "dead-letters", "orders_hook")
    assert json.loads(run(*letters, "--json", "--data", folder).out) == []
    assert run(*letters, "--retry", "all", "--data", folder).text == "0 events sent again\n"
    assert run(*letters, "--discard", "1,2", "--data", folder).text == "0 events forgotten\n"
    assert run(*letters, "--retry", "x", "--data", folder).code == 2
    replay = ("destinations", "replay", "orders_hook")
    made = run(*replay, "--from", "2026-05-01T12:00:00Z", "--event", "$identify", "--data", folder)
    assert made.text == "replay 1 begins\n"
    (told,) = json.loads(run(*replay, "--json", "--data", folder).out)
    assert (told["events"], told["state"]) == (["$identify"], "waiting")
    assert run(*replay, "--cancel", "1", "--data", folder).text == "cancelled 1\n"
    assert run(*replay, "--cancel", "1", "--data", folder).code == 1
    assert run(*replay, "--from", "yesterday", "--data", folder).code == 2


def test_delete(run: Run, folder: Path) -> None:
    assert run("destinations", "delete", "orders_hook", "--data", folder).code == 0
    assert json.loads(run("destinations", "list", "--json", "--data", folder).out) == []
    gone = run("destinations", "show", "orders_hook", "--data", folder)
    assert (gone.code, "no destination orders_hook" in gone.err) == (1, True)


def test_export_has_no_secret(run: Run, folder: Path, tmp_path: Path) -> None:
    exported = run("export", "--data", folder).text
    assert "hunter2" not in exported
    assert "#   DESTINATION_ORDERS_HOOK_SHARED_SECRET\n" in exported
    file = tmp_path / "again.yaml"
    file.write_text(exported.replace("DESTINATION_ORDERS_HOOK_SHARED_SECRET", "HOOK_SECRET"))
    again = run("apply", file, "--data", folder)
    assert again.text.endswith("nothing to change\n")


@pytest.mark.parametrize(
    ("change", "place", "says"),
    [
        (('type = "track"', "type ="), "destinations.orders_hook: ", "position"),
        (('"Order Completed"', '"Order'), "destinations.orders_hook: ", "position"),
        (("action: send", "action: sent"), "destinations.orders_hook: ", "send"),
        (("sources: [shop]", "sources: [shopp]"), "destinations.orders_hook: ", "shop"),
        (("type: webhook", "type: webhok"), "destinations.orders_hook: ", "did you mean webhook"),
    ],
)
def test_what_is_wrong_in_the_file_has_its_place_and_nothing_is_applied(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    change: tuple[str, str], place: str, says: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("HOOK_SECRET", "hunter2-hunter2")
    file = tmp_path / "penstock.yaml"
    file.write_text(WORKSPACE.replace(*change))
    done = run("apply", file, "--data", tmp_path / "data")
    assert (done.code, done.out) == (1, b"")
    assert str(file) in done.err and place in done.err and says in done.err
    assert not (tmp_path / "data").exists()


def test_a_backup_has_no_key_and_restore_says_so(run: Run, folder: Path, tmp_path: Path) -> None:
    from tests.backup.small import Small, record

    small = Small(folder)
    small.receive(record("a", 1))
    small.catch_up()
    saved = run("backup", tmp_path / "backups", "--data", folder)
    assert saved.code == 0, saved.err
    key = folder / "secret.key"
    assert f"not in it: {key}" in saved.text
    stored = [path.read_bytes() for path in (tmp_path / "backups").rglob("*") if path.is_file()]
    assert not any(key.read_bytes().strip() in content for content in stored)
    again = tmp_path / "again"
    restored = run("restore", tmp_path / "backups", "--data", again)
    assert f"put the key of its secrets back as {again / 'secret.key'}" in restored.text
    (again / "secret.key").write_bytes(key.read_bytes())
    file = tmp_path / "penstock.yaml"
    assert run("apply", file, "--data", again).text.endswith("nothing to change\n")
