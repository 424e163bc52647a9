"""``penstock apply`` and ``penstock export``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.cli.conftest import Run

SHOP = """
sources:
  shop: {name: Web shop, type: browser, write_keys: [shop-1, shop-2]}
  backend: {name: "Bestellungen Ä", enabled: false, write_keys: [back-1], space: other}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "penstock.yaml"
    path.write_text(SHOP)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_apply_prints_the_plan_and_is_idempotent(run: Run, file: Path, folder: Path) -> None:
    first = run("apply", file, "--data", folder)
    assert (first.code, first.err) == (0, "")
    assert first.text == "+ sources.shop\n+ sources.backend\n2 applied\n"
    again = run("apply", file, "--data", folder)
    assert again.text == "= sources.shop\n= sources.backend\nnothing to change\n"


def test_a_change_names_the_fields(run: Run, file: Path, folder: Path) -> None:
    run("apply", file, "--data", folder)
    file.write_text(SHOP.replace("Web shop", "Shop").replace("[shop-1, shop-2]", "[shop-2]"))
    done = run("apply", file, "--data", folder)
    assert done.text == "~ sources.shop name, write_keys\n= sources.backend\n1 applied\n"


def test_export_then_apply_is_the_same_workspace(
    run: Run, file: Path, folder: Path, tmp_path: Path
) -> None:
    run("apply", file, "--data", folder)
    exported = run("export", "--data", folder).text
    assert yaml.safe_load(exported)["sources"].keys() == {"shop", "backend"}
    copy = tmp_path / "copy.yaml"
    copy.write_text(exported)
    same = run("apply", copy, "--data", folder)
    assert same.text.endswith("nothing to change\n")
    other = tmp_path / "other"
    assert run("apply", copy, "--data", other).code == 0
    assert run("export", "--data", other).text == exported


def test_a_source_without_keys_is_given_one_and_keeps_it(
    run: Run, file: Path, folder: Path
) -> None:
    file.write_text("sources:\n  app:\n")
    done = run("apply", file, "--data", folder)
    key = yaml.safe_load(run("export", "--data", folder).text)["sources"]["app"]["write_keys"][0]
    assert len(key) >= 20
    assert done.text == f"+ sources.app\n1 applied\nwrite key of app: {key}\n"
    assert run("apply", file, "--data", folder).text.endswith("nothing to change\n")


def test_dry_run_changes_nothing(run: Run, file: Path, folder: Path) -> None:
    done = run("apply", file, "--dry-run", "--data", folder)
    assert (done.code, done.text.splitlines()[-1]) == (0, "nothing applied (--dry-run)")
    assert not folder.exists()


def test_json(run: Run, file: Path, folder: Path) -> None:
    plan = json.loads(run("apply", file, "--json", "--data", folder).out)
    assert [(line["action"], line["slug"]) for line in plan] == [
        ("create", "shop"), ("create", "backend"),
    ]  # fmt: skip


def test_sources_that_the_file_does_not_name_stay(run: Run, file: Path, folder: Path) -> None:
    run("apply", file, "--data", folder)
    file.write_text("sources:\n  app: {write_keys: [app-1]}\n")
    run("apply", file, "--data", folder)
    exported = yaml.safe_load(run("export", "--data", folder).text)
    assert exported["sources"].keys() == {"app", "backend", "shop"}


def test_secrets_come_from_the_environment(
    run: Run, file: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("sources:\n  app: {write_keys: [{env: APP_KEY}]}\n")
    refused = run("apply", file, "--data", folder)
    assert refused.code == 1
    assert "set the environment variable APP_KEY" in refused.err
    monkeypatch.setenv("APP_KEY", "app-1")
    assert run("apply", file, "--data", folder).code == 0


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("hello", "", "sections such as `sources:`"),
        ("sources: [shop]", "", "map slugs to fields"),
        ("sourcs: {}", "'sourcs'", "unknown section"),
        ("journeys: {welcome: {}}", "'journeys'", "not supported yet"),
        ("sources:\n  Shop: {}", "sources.Shop", "lower-case letters"),
        ("sources:\n  penstock: {}", "sources.penstock", "none of"),
        ("sources:\n  shop: {tpe: browser}", "sources.shop", "tpe"),
        ("sources:\n  shop: {type: browsr}", "sources.shop", "one of browser, server"),
        ("sources:\n  shop: {enabled: maybe}", "sources.shop", "enabled"),
        ("sources:\n  shop: {write_keys: key}", "sources.shop", "write_keys"),
        ("sources:\n  shop: {write_keys: ['']}", "sources.shop", "use letters, digits"),
        ("sources:\n  a: {write_keys: [k]}\n  b: {write_keys: [k]}", "sources.b",
         "give each source its own"),
        ("sources:\n  shop: {name: 'x}", "line 2", "not valid YAML"),
    ],
)  # fmt: skip
def test_an_error_names_its_place_and_applies_nothing(
    run: Run, file: Path, folder: Path, text: str, place: str, says: str
) -> None:
    file.write_text(text)
    done = run("apply", file, "--data", folder)
    assert (done.code, done.out) == (1, b"")
    assert str(file) in done.err
    assert place in done.err
    assert says in done.err
    assert not folder.exists()


def test_a_key_of_another_source_is_refused_in_a_dry_run_too(
    run: Run, file: Path, folder: Path
) -> None:
    run("apply", file, "--data", folder)
    file.write_text("sources:\n  app: {write_keys: [shop-1]}\n")
    done = run("apply", file, "--dry-run", "--data", folder)
    assert (done.code, done.out) == (1, b"")
    assert "belongs to shop already" in done.err


def test_export_creates_nothing(run: Run, folder: Path) -> None:
    done = run("export", "--data", folder)
    assert done.code == 1
    assert "no workspace in" in done.err
    assert not folder.exists()


def test_a_missing_file(run: Run, folder: Path, tmp_path: Path) -> None:
    done = run("apply", tmp_path / "nope.yaml", "--data", folder)
    assert done.code == 1
    assert "No such file" in done.err


def test_a_damaged_state_store_is_told_in_one_line(run: Run, folder: Path) -> None:
    folder.mkdir()
    (folder / "state.sqlite").write_text("no database at all, and long enough to be looked at")
    done = run("export", "--data", folder)
    assert (done.code, done.out) == (1, b"")
    assert done.err.startswith("penstock: the state store (state.sqlite in the data folder): ")
