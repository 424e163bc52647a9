"""The import rule of design.md §2, read from the syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "penstock"
ROOMS = (
    "events", "ingest", "journal", "process", "warehouses", "destinations", "profiles", "engage",
    "sources", "reports", "monitor", "workspace", "migrate", "api",
)  # fmt: skip
"""In the order in which an event passes them."""
BOTTOM = ("errors", "functions", "plugins", "settings", "events", "logs", "metrics")
TOP = (
    "backup",
    "cli",
    "client",
    "demo",
    "bench",
    "doctor",
    "engine",
    "gauges",
    "glance",
    "roles",
    "spaces",
    "__main__",
)
"""What joins the rooms: may import anything, is imported by no room."""
CONTRACTS = {"ingest": ("journal.contract",)}
"""Contracts of rooms further down that a room writes to."""
JOURNAL = "journal.contract"
"""All that other rooms know of the journal; engine and roles choose the implementation."""


def test_every_room_imports_only_what_comes_before_it() -> None:
    offences = [line for path in _modules() for line in offences_of(path, path.read_text())]
    assert not offences, "imports against the rule:\n" + "\n".join(offences)


def test_every_package_has_its_place_in_the_order() -> None:
    names = {entry.stem for entry in SOURCE.iterdir() if _is_python(entry)}
    assert names - {*ROOMS, *BOTTOM, *TOP, "__init__"} == set()


@pytest.mark.parametrize(
    ("module", "line", "allowed"),
    [
        ("ingest/app.py", "from penstock.events.model import Event", True),
        ("ingest/app.py", "from penstock.journal.contract import Writer", True),
        ("ingest/app.py", "from penstock.journal.sqlite import SqliteJournal", False),
        ("ingest/app.py", "from penstock import __version__", True),
        ("ingest/app.py", "from penstock import engine", False),
        ("ingest/app.py", "import penstock.workspace.store", False),
        ("ingest/app.py", "def f():\n    from penstock.process import worker", False),
        ("ingest/app.py", "from ..process import worker", False),
        ("process/worker.py", "from penstock.journal.contract import Journal", True),
        ("process/worker.py", "from penstock.journal.sqlite import SqliteJournal", False),
        ("process/worker.py", "from penstock.process.dedupe import DedupeIndex", True),
        ("process/worker.py", "from penstock.warehouses import loader", False),
        ("events/model.py", "from penstock.ingest import accept", False),
        ("errors.py", "from penstock.events import CALLS", True),
        ("settings.py", "from penstock.journal import contract", False),
        ("warehouses/duckdb.py", "from penstock.cli.main import app", False),
        ("engine.py", "from penstock.cli.main import app", True),
    ],
)
def test_the_rule_itself(module: str, line: str, allowed: bool) -> None:
    assert (not list(offences_of(SOURCE / module, line))) is allowed


def offences_of(path: Path, text: str) -> Iterator[str]:
    """A line for each import of a module that the rule forbids."""
    relative = path.relative_to(SOURCE)
    room = relative.parts[0].removesuffix(".py")
    if room in TOP or room == "__init__":
        return
    for node in ast.walk(ast.parse(text)):
        for target in _imported(node, relative):
            if not is_allowed(room, target):
                line = text.splitlines()[node.lineno - 1].strip()  # type: ignore[attr-defined]
                yield f"src/penstock/{relative}:{node.lineno}: {line}"  # type: ignore[attr-defined]


def is_allowed(room: str, target: str) -> bool:
    """Whether a module of ``room`` may import ``target``, named from below ``penstock``."""
    other = target.partition(".")[0]
    if other == room or other in BOTTOM:
        return True
    if room in BOTTOM or other not in ROOMS:
        return False
    if target in CONTRACTS.get(room, ()):
        return True
    if other == "journal" and target != JOURNAL:
        return False
    return ROOMS.index(other) < ROOMS.index(room)


def _imported(node: ast.AST, relative: Path) -> Iterator[str]:
    """The modules below ``penstock`` that a statement imports."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        names = _from(node, relative)
    else:
        return
    for name in names:
        if name.startswith("penstock."):
            yield name.removeprefix("penstock.")


def _from(node: ast.ImportFrom, relative: Path) -> list[str]:
    base = node.module or ""
    if node.level:
        package = ["penstock", *relative.parts[:-1]]
        base = ".".join([*package[: len(package) + 1 - node.level], *filter(None, [base])])
    below = base.removeprefix("penstock").removeprefix(".")
    if below in ("", "journal"):
        names = (f"{base}.{alias.name}" for alias in node.names)
        return [name for name in names if not name.endswith("__version__")]
    return [base]


def _modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def _is_python(entry: Path) -> bool:
    return entry.suffix == ".py" or (entry / "__init__.py").exists()
