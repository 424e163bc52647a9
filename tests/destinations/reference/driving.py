"""One Node process in which the public definitions of tools word requests; nothing is sent."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.requirements import require_npm_packages, require_tool

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["FOLDER", "FROZEN", "NEW_ID", "Outcome", "Reference", "Run", "Sent", "reference"]

FOLDER = Path(__file__).parent
FROZEN = datetime(2026, 3, 4, 5, 6, 7, 89000, tzinfo=UTC)
"""What time it is for the reference, always."""
NEW_ID = "00000000-0000-4000-8000-000000000000"
"""Every id that it makes up."""

Json = Any


@dataclass(frozen=True)
class Sent:
    """A request that would have been sent; header names in lower case."""

    method: str
    url: str
    headers: dict[str, str]
    body: str


@dataclass(frozen=True)
class Outcome:
    """What one mapping made of a run."""

    mapping: int
    action: str
    requests: tuple[Sent, ...]
    error: dict[str, Json] | None = None
    """name, status (None: a bug of the definition) and message."""
    results: tuple[int, ...] | None = None
    """Of a batch: a status for each event."""


@dataclass(frozen=True)
class Run:
    """Events given together (more than one: as a batch), and what the tool answers."""

    events: Sequence[dict[str, Json]]
    answers: Sequence[dict[str, Json]] = ()
    """status, body (JSON or text) and headers, in order; after the last: 200 {}."""
    mapping: int | None = None
    """Only this one; None: all that take the events."""


class Reference:
    """The process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def describe(self, tool: str) -> dict[str, Json]:
        """The tool's `presets` (name, action, trigger, fields) and `actions`."""
        answer: dict[str, Json] = self._ask({"tool": tool, "describe": True})
        return answer

    def run(self, order: dict[str, Json], runs: Sequence[Run]) -> list[list[Outcome]]:
        """For each run the outcomes of its mappings. The order: tool, settings, auth, mappings."""
        asked = {**order, "runs": [asdict(run) for run in runs]}
        return [[_outcome(one) for one in outcomes] for outcomes in self._ask(asked)]

    def _ask(self, order: dict[str, Json]) -> Json:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the reference process ended ({self._process.poll()}); see its output above"
        return json.loads(line)


def _outcome(raw: dict[str, Json]) -> Outcome:
    results = raw["results"]
    return Outcome(
        raw["mapping"],
        raw["action"],
        tuple(Sent(**request) for request in raw["requests"]),
        raw["error"],
        None if results is None else tuple(results),
    )


@contextmanager
def reference() -> Iterator[Reference]:
    """The process, with its packages installed; skips the test where npm or Node is missing.

    One for each tool: with every run it keeps the definitions that were loaded for it.
    """
    node = require_tool("node")
    require_npm_packages(FOLDER)
    process = subprocess.Popen(
        [node, "run.cjs"], cwd=FOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield Reference(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(timeout=60)
