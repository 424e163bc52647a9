"""The command line in this process, and a small warehouse to ask."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from penstock.cli.main import main
from penstock.events.model import Record
from penstock.warehouses.duckdb import DuckDbWarehouse

RECEIVED = "2026-01-05T10:00:00Z"
RECEIVED_US = 1_767_607_200_000_000


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it printed."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        """What it printed, as text."""
        return self.out.decode()


Run = Callable[..., Outcome]


@pytest.fixture
def run(
    capsysbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Run:
    """Runs ``penstock`` with arguments, in an empty folder and without settings from outside."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*arguments: str | Path) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["penstock", *map(str, arguments)])
        code: int | str | None = 0
        try:
            main()
        except SystemExit as end:
            code = end.code
        captured = capsysbinary.readouterr()
        assert code is None or isinstance(code, int)
        return Outcome(code or 0, captured.out, captured.err.decode())

    return run


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder whose warehouse holds three events of source ``web``; no engine runs."""
    folder = tmp_path / "data"
    folder.mkdir()
    warehouse = DuckDbWarehouse(folder / "warehouse.duckdb", threads=1)
    chunk = warehouse.prepare(
        [
            _record("m1", "u1", {"slices": 2, "price": 1.5, "fresh": True, "toppings": ["jam"]}),
            _record("m2", "u2", {"slices": 3, "note": 'äöü, "quoted"\nand broken'}),
            _record("m3", "u1", {"slices": None}),
        ]
    )
    warehouse.load(chunk, part=0, following=3)
    warehouse.close()
    return folder


def _record(message_id: str, user: str, properties: dict[str, object]) -> Record:
    event = {
        "type": "track", "messageId": message_id, "userId": user, "event": "Toast Buttered",
        "properties": properties, "timestamp": RECEIVED, "receivedAt": RECEIVED,
    }  # fmt: skip
    return Record("web", message_id, RECEIVED_US, json.dumps(event).encode())
