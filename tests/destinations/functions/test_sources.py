"""Functions on sources: what is stored, what is rejected, and the account of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.destinations.functions.chain import Place
from penstock.destinations.functions.sources import SourceFunctions
from penstock.destinations.model import FunctionSetup
from penstock.events.model import Record

if sys.platform != "linux":
    pytest.skip("functions run on Linux only", allow_module_level=True)

RECEIVED_US = 1_700_000_000_000_000
HOUR = RECEIVED_US // 3_600_000_000
BODY = """
from penstock.functions import Reject

def on_track(event, settings):
    exec(event["properties"]["run"])
    return eval(event["properties"].get("give", "event"))
"""
Make = Callable[..., SourceFunctions]


def _record(number: int, source: str = "web", **fields: Any) -> Record:
    event = {
        "type": "track", "event": "Order", "userId": "u", "messageId": f"m{number}",
        "timestamp": "2026-01-01T00:00:00.000Z", "receivedAt": "2026-01-01T00:00:01.000Z",
        "properties": {"run": "", **fields.pop("properties", {})}, **fields,
    }  # fmt: skip
    return Record(source, f"m{number}", RECEIVED_US, json.dumps(event).encode())


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[SourceFunctions] = []

    def functions(body: str = BODY, **setups: FunctionSetup) -> SourceFunctions:
        (tmp_path / "one.py").write_text(body)
        known = setups or {"one": FunctionSetup("one", "one.py", ("web",), timeout=30.0)}
        made.append(SourceFunctions(lambda: known, Place(tmp_path)))
        return made[-1]

    yield functions
    for each in made:
        each.close()


def _run(statement: str, give: str = "event") -> dict[str, Any]:
    return {"properties": {"run": statement, "give": give}}


def test_other_sources_are_left_alone(make: Make) -> None:
    functions = make()
    assert functions([_record(1, "shop"), _record(2, "shop")]) is None
    found = functions([_record(1, "shop"), _record(2)])
    assert found is not None
    assert [record.source for record in found.records] == ["shop", "web"]
    assert found.records[0] == _record(1, "shop")


def test_without_a_function_on_a_source_nothing_is_asked(make: Make) -> None:
    functions = make(before=FunctionSetup("before", "one.py"))
    assert functions([_record(1)]) is None


def test_the_account_holds_what_was_removed_and_added(make: Make) -> None:
    found = make()([
        _record(1),
        _record(2, **_run("", "None")),
        _record(3, **_run("raise Reject('no')")),
        _record(4, **_run("1/0")),
        _record(5, **_run("", "[event, dict(event), {**event, 'messageId': 'own'}]")),
    ])  # fmt: skip
    assert found is not None
    assert [record.message_id for record in found.records] == ["m1", "m5", "m5-1", "own"]
    assert [json.loads(record.payload)["messageId"] for record in found.records] == [
        "m1", "m5", "m5-1", "own",
    ]  # fmt: skip
    assert (found.removed["web", HOUR], found.added["web", HOUR]) == (3, 2)
    assert [(one.code, one.reason) for one in found.rejected] == [
        ("function_rejected", "no"),
        ("function_failed", "line 5: ZeroDivisionError: division by zero"),
    ]
    assert found.rejected[0].original == _record(3, **_run("raise Reject('no')")).payload


@pytest.mark.parametrize(
    "statement",
    [
        "event['type'] = 'purchase'",
        "event['event'] = ''",
        "event['userId'] = None",
        "event['userId'] = 7",
        "event['traits'] = [1]",
        "event['surprise'] = 1",
        "event['context'] = 'x'",
    ],
)
def test_what_is_no_valid_event_any_more_is_rejected(make: Make, statement: str) -> None:
    given = _record(1, **_run(statement))
    found = make()([given])
    assert found is not None
    assert (found.records, found.removed["web", HOUR]) == ([], 1)
    (rejected,) = found.rejected
    assert (rejected.code, rejected.original) == ("function_failed", given.payload)
    assert "no valid event" in rejected.reason


def test_ids_and_times_that_penstock_gave_stay(make: Make) -> None:
    statement = (
        "event.update(messageId='other', receivedAt='2000-01-01T00:00:00Z', "
        "timestamp='yesterday', sentAt='x')"
    )
    found = make()([_record(1, **_run(statement))])
    assert found is not None
    event = json.loads(found.records[0].payload)
    assert (event["messageId"], event["receivedAt"]) == ("m1", "2026-01-01T00:00:01.000Z")
    assert event["timestamp"] == "2026-01-01T00:00:00.000Z"
    assert "sentAt" not in event


def test_a_file_that_is_missing_rejects_rather_than_lets_through(make: Make) -> None:
    functions = make(gone=FunctionSetup("gone", "gone.py", ("web",)))
    found = functions([_record(1)])
    assert found is not None
    assert [one.code for one in found.rejected] == ["function_unavailable"]
    assert found.records == []
    (state,) = functions.states()
    assert (state.function, state.place, state.state) == ("gone", "source:web", "broken")
