"""A function over time: saved anew, broken, stopped again and again."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.destinations.functions import frames
from penstock.destinations.functions.function import (
    BROKEN,
    FUNCTION_FAILED,
    FUNCTION_REJECTED,
    FUNCTION_RETRY,
    FUNCTION_STOPPED,
    FUNCTION_UNAVAILABLE,
    HELD,
    IDLE,
    RUNNING,
    Function,
)
from penstock.destinations.model import FunctionSetup

if sys.platform != "linux":
    pytest.skip("functions run on Linux only", allow_module_level=True)

MARK = "def on_track(event, settings):\n    event['mark'] = {mark!r}\n    return event\n"
Make = Callable[..., Function]


class Clock:
    """Moved by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def track(**properties: Any) -> bytes:
    return json.dumps({"type": "track", "event": "Order", "properties": properties}).encode()


def _carry(request: frames.Fetch, seconds: float) -> frames.Fetched:
    assert seconds > 0
    return frames.Fetched(200, {"content-type": "text/plain"}, request.url.encode())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(tmp_path: Path, clock: Clock) -> Iterator[Make]:
    """Makes a function of source text; its file is tried.py."""
    made: list[Function] = []

    def function(source: str, **fields: Any) -> Function:
        (tmp_path / "tried.py").write_text(source)
        setup = FunctionSetup("tried", "tried.py", **{"timeout": 30.0, **fields})
        made.append(Function(setup, tmp_path, _carry, clock=clock))
        return made[-1]

    yield function
    for each in made:
        each.close()


def _marks(function: Function) -> list[Any]:
    return [json.loads(one).get("mark") for one in function([track()])[0].events or ()]


def test_handlers_change_drop_add_leave_retry_reject_and_fail(make: Make) -> None:
    function = make(
        "from penstock.functions import Reject, Retry\n"
        "def on_track(event, settings):\n"
        "    what = event['properties']['do']\n"
        "    if what == 'drop': return None\n"
        "    if what == 'add': return [event, {**event, 'event': 'Copy'}]\n"
        "    if what == 'retry': raise Retry('not ready')\n"
        "    if what == 'reject': raise Reject('no ' + settings['word'])\n"
        "    if what == 'fail': return event['missing']\n"
        "    if what == 'odd': return 3\n"
        "    return event\n",
        settings={"word": "thanks"},
    )
    assert function.state == IDLE
    do = ["pass", "drop", "add", "retry", "reject", "fail", "odd"]
    found = function([track(do=what) for what in do] + [b'{"type":"page"}'])
    assert [one.events if one.events is None else len(one.events) for one in found] == [
        1, 0, 2, 0, 0, 0, 0, None,
    ]  # fmt: skip
    assert [one.code for one in found] == [
        "", "", "", FUNCTION_RETRY, FUNCTION_REJECTED, FUNCTION_FAILED, FUNCTION_FAILED, "",
    ]  # fmt: skip
    assert [(one.message, one.line) for one in found[3:6]] == [
        ("not ready", 0), ("no thanks", 0), ("KeyError: 'missing'", 8),
    ]  # fmt: skip
    assert "return the event, None, or a list" in found[6].message
    assert (function.state, function.counts["passed"], function.counts["added"]) == (RUNNING, 3, 1)


def test_on_event_is_for_calls_without_a_handler(make: Make) -> None:
    function = make(
        "def on_event(event, settings):\n    return {**event, 'by': 'any'}\n"
        "def on_page(event, settings):\n    return {**event, 'by': 'page'}\n"
    )
    found = function([b'{"type":"page"}', b'{"type":"alias"}'])
    assert [json.loads((one.events or ())[0])["by"] for one in found] == ["page", "any"]


def test_a_file_that_is_saved_is_taken_up(make: Make, tmp_path: Path, clock: Clock) -> None:
    function = make(MARK.format(mark=1))
    assert _marks(function) == [1]
    (tmp_path / "tried.py").write_text(MARK.format(mark=2))
    clock.now += 1
    assert _marks(function) == [2]


def test_the_version_before_goes_on_while_a_new_one_is_broken(
    make: Make, tmp_path: Path, clock: Clock
) -> None:
    function = make(MARK.format(mark=1))
    assert _marks(function) == [1]
    (tmp_path / "tried.py").write_text("def on_track(event, settings:\n    return event\n")
    clock.now += 1
    assert _marks(function) == [1]
    assert function.problem.startswith("tried.py, line 1: SyntaxError")
    (tmp_path / "tried.py").write_text(MARK.format(mark=3))
    clock.now += 1
    assert (_marks(function), function.problem) == ([3], "")


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("x = (", "tried.py, line 1: SyntaxError"),
        ("\n\nimport nothing_such", "tried.py, line 3: ModuleNotFoundError"),
        ("import os\nos._exit(1)", "its process ended while the file was loaded"),
        ("x = 1", "it has no handler"),
    ],
)
def test_a_file_that_can_not_be_loaded_is_named(make: Make, source: str, problem: str) -> None:
    function = make(source)
    (found,) = function([track()])
    assert (found.code, function.state) == (FUNCTION_UNAVAILABLE, BROKEN)
    assert problem in found.message
    assert found.may_pass_later


def test_only_the_event_that_never_ends_is_lost(make: Make) -> None:
    function = make(
        "def on_track(event, settings):\n"
        "    while event['properties'].get('loop'): pass\n"
        "    return event\n",
        timeout=1.0,
    )
    found = function([track(), track(), track(loop=True), track()])
    assert [one.code for one in found] == ["", "", FUNCTION_STOPPED, ""]
    assert function.state == RUNNING


def test_three_stops_hold_it_off_longer_each_time(make: Make, clock: Clock) -> None:
    function = make("import os\ndef on_track(event, settings):\n    os._exit(9)\n")
    codes = [one.code for one in function([track()] * 5)]
    assert codes == [FUNCTION_STOPPED] * 3 + [FUNCTION_UNAVAILABLE] * 2
    assert function.state == HELD
    assert "held off for 10 s" in function.problem
    clock.now += 11
    codes = [one.code for one in function([track()] * 3)]
    assert codes == [FUNCTION_STOPPED] + [FUNCTION_UNAVAILABLE] * 2
    assert "held off for 20 s" in function.problem


def test_a_saved_file_ends_the_hold(make: Make, tmp_path: Path, clock: Clock) -> None:
    function = make("import os\ndef on_track(event, settings):\n    os._exit(9)\n")
    function([track()] * 3)
    (tmp_path / "tried.py").write_text(MARK.format(mark="mended"))
    clock.now += 1
    assert _marks(function) == ["mended"]


def test_a_request_goes_through_penstock(make: Make) -> None:
    function = make(
        "from penstock.functions import fetch\n"
        "def on_track(event, settings):\n"
        "    answer = fetch('https://api.example.com/x', 'POST', json={'a': 1})\n"
        "    return {**event, 'answer': [answer.status, answer.body.decode()]}\n"
    )
    (found,) = function([track()])
    assert json.loads((found.events or ())[0])["answer"] == [200, "https://api.example.com/x"]


def test_what_is_too_much_fails_that_event(make: Make) -> None:
    function = make(
        "def on_track(event, settings):\n"
        "    return [event] * 101 if event['properties'] else {**event, 'x': 'x' * 2_000_000}\n"
    )
    found = function([track(many=True), track()])
    assert [one.code for one in found] == [FUNCTION_FAILED] * 2
    assert ["most is 100" in found[0].message, "1048576 bytes" in found[1].message] == [True, True]
