"""``penstock profiles`` and ``penstock audiences``, on a folder without an engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from penstock.profiles.language.definitions import AudienceSetup
from tests.cli.conftest import Run
from tests.profiles.stream.world import World, track

WORKSPACE = """
sources:
  web: {name: Shop, type: server, write_keys: [shop-1]}
audiences:
  buyers: {name: Buyers, when: did "Bought"}
  lost: {name: Lost, when: did "Bought" and did not "Viewed"}
"""


@pytest.fixture
def folder(run: Run, tmp_path: Path) -> Path:
    """A folder whose events were read, with nothing running."""
    file = tmp_path / "penstock.yaml"
    file.write_text(WORKSPACE)
    data = tmp_path / "data"
    assert run("apply", file, "--data", data).code == 0
    world = World(data)
    world.define(
        AudienceSetup("buyers", 'did "Bought"', name="Buyers"),
        AudienceSetup("lost", 'did "Bought" and did not "Viewed"', name="Lost"),
    )
    world.send(*(track(f"u{one}", "Bought") for one in range(5)), track("u1", "Viewed"))
    world.drain()
    world.space.note_sizes()
    world.close()
    return data


def test_show_a_person_and_why(run: Run, folder: Path) -> None:
    found = run("profiles", "show", "user_id:u1", "--why", "lost", "--data", folder)
    assert (found.code, found.err) == (0, "")
    assert "user_id │ u1" in found.text
    assert "is not in lost:\n" in found.text
    assert '  yes (1): did "Bought"\n' in found.text
    assert '  no: did not "Viewed"\n    yes (1): did "Viewed"\n' in found.text
    as_json = json.loads(run("profiles", "show", "user_id:u1", "--json", "--data", folder).out)
    assert {one["name"]: one["value"] for one in as_json["traits"]} == {
        "buyers": True, "lost": False,
    }  # fmt: skip


def test_nobody_of_that_id(run: Run, folder: Path) -> None:
    assert run("profiles", "show", "user_id:u9", "--data", folder).code == 1
    assert run("profiles", "show", "u1", "--data", folder).code == 2
    empty = run("profiles", "show", "user_id:u1", "--space", "other", "--data", folder)
    assert (empty.code, "nobody is known" in empty.err) == (1, True)


def test_list_and_show_audiences(run: Run, folder: Path) -> None:
    listed = json.loads(run("audiences", "list", "--json", "--data", folder).out)
    assert [(one["definition"]["slug"], one["state"], one["size"]) for one in listed] == [
        ("buyers", "live", 5), ("lost", "live", 4),
    ]  # fmt: skip
    assert "lost" in run("audiences", "list", "--data", folder).text
    page = json.loads(run("audiences", "show", "buyers", "-n", "3", "--json", "--data", folder).out)
    assert (page["definition"]["when"], page["size"]) == ('did "Bought"', 5)
    assert [one["ids"][0]["value"] for one in page["members"]["items"]] == ["u0", "u1", "u2"]
    rest = run("audiences", "show", "buyers", "--after", page["members"]["next"], "--data", folder)
    assert "user_id:u4" in rest.text and "user_id:u2" not in rest.text
    assert run("audiences", "show", "nope", "--data", folder).code == 1


def test_preview(run: Run, folder: Path) -> None:
    found = run("audiences", "preview", 'did "Viewed"', "--data", folder)
    assert found.text.startswith("1 of 5 people\n") and "user_id:u1" in found.text
    assert json.loads(
        run("audiences", "preview", 'not did "Viewed"', "--json", "--data", folder).out
    )["size"] == 4  # fmt: skip
    wrong = run("audiences", "preview", "did", "--data", folder)
    assert (wrong.code, "expected the name of an event" in wrong.err) == (1, True)


def test_an_audience_before_anybody_is_known(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "penstock.yaml"
    file.write_text(WORKSPACE)
    data = tmp_path / "data"
    assert run("apply", file, "--data", data).code == 0
    found = json.loads(run("audiences", "show", "lost", "--json", "--data", data).out)
    assert (found["state"], found["size"], found["members"]["items"]) == ("waiting", 0, [])
