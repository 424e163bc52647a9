"""Built-in, installed and self-made tools; what is broken is named and stops none of the others."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from penstock.destinations import catalog, registry
from penstock.destinations.contract import Destination
from penstock.destinations.registry import built_in, definition, definitions, problems
from penstock.errors import NotFound

BELL = """
from penstock.destinations.contract import Action, Destination, Request

def _send(call):
    yield Request("POST", "https://bell.test", json=call.payload)

DESTINATION = Destination(slug="bell", name="Bell", help="Rings a bell.",
                          actions=(Action("ring", "Ring", _send),))
"""


def test_every_built_in_tool_loads_and_its_slug_is_that_of_its_package() -> None:
    assert problems() == []
    for slug, tool in definitions().items():
        assert tool.slug == slug
        assert slug.replace("-", "_") in built_in()
        assert definition(slug) is tool


def test_a_tool_is_imported_when_it_is_asked_for_and_no_other_is() -> None:
    code = (
        "import sys\n"
        "from penstock.destinations.registry import definition\n"
        "definition('webhook')\n"
        f"start = '{catalog.__name__}.'\n"
        "tools = [name for name in sys.modules if name.startswith(start)]\n"
        "print(*{name.removeprefix(start).split('.')[0] for name in tools})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert set(done.stdout.split()) <= {"webhook", "common"}


def test_a_file_in_the_folder_is_a_tool(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(BELL)
    (tmp_path / "_shared.py").write_text("this is no tool")
    assert definition("bell", tmp_path).name == "Bell"
    assert "bell" in definitions(tmp_path)
    assert problems(tmp_path) == []
    with pytest.raises(NotFound):
        definition("bell")


def test_an_edited_file_is_loaded_again(tmp_path: Path) -> None:
    file = tmp_path / "bell.py"
    file.write_text(BELL)
    before = definition("bell", tmp_path)
    assert definition("bell", tmp_path) is before
    file.write_text(BELL.replace('"Bell"', '"Gong"'))
    os.utime(file, ns=(1, 1))
    assert definition("bell", tmp_path).name == "Gong"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("DESTINATION = (", "SyntaxError in line 1"),
        ("import nothing_of_that_name", "ModuleNotFoundError"),
        ("raise SystemExit(3)", "SystemExit"),
        ("DESTINATION = 5", "has no DESTINATION"),
        ("", "has no DESTINATION"),
        (BELL.replace('"bell"', '"webhook"'), "there is a tool webhook already"),
    ],
)
def test_a_broken_file_is_named_and_stops_none_of_the_others(
    tmp_path: Path, text: str, says: str
) -> None:
    (tmp_path / "broken.py").write_text(text)
    (tmp_path / "zz.py").write_text(BELL)
    assert definition("bell", tmp_path).name == "Bell"
    (problem,) = problems(tmp_path)
    assert problem.where.endswith("broken.py")
    assert says in problem.message
    with pytest.raises(NotFound, match=r"broken\.py"):
        definition("gong", tmp_path)


def test_an_entry_point_is_a_tool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bell_package.py").write_text(BELL)
    monkeypatch.syspath_prepend(tmp_path)
    points = [
        EntryPoint("bell", "bell_package:DESTINATION", registry.GROUP),
        EntryPoint("gong", "no_such_package:DESTINATION", registry.GROUP),
        EntryPoint("text", "bell_package:__name__", registry.GROUP),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    assert isinstance(definition("bell"), Destination)
    told = {problem.where: problem.message for problem in problems()}
    assert "ModuleNotFoundError" in told["entry point gong = no_such_package:DESTINATION"]
    assert "not a penstock Destination" in told["entry point text = bell_package:__name__"]
    assert len(told) == 2
    importlib.invalidate_caches()


def test_a_name_that_is_nearly_right_is_told() -> None:
    with pytest.raises(NotFound, match="did you mean webhook"):
        definition("webhok")
    with pytest.raises(NotFound, match="penstock destinations catalog"):
        definition("xyzzy")
