"""For the same events and settings, our definitions word the requests that the public ones word.

Each file in `cases` is a tool: its settings, answers to try, and the differences that are meant.
`counts.json` holds what was counted, for the documentation, and must hold what is counted today.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from penstock.destinations import registry
from penstock.destinations.model import MappingSetup
from tests.destinations.reference import semantic
from tests.destinations.reference.comparing import Listed, Tally
from tests.destinations.reference.driving import Reference, Run, reference
from tests.destinations.reference.generation import KINDS, event_of, events
from tests.destinations.reference.ours import Ours

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = Any
COUNTS = Path(__file__).parent / "counts.json"
CASES = sorted(file.stem for file in (Path(__file__).parent / "cases").glob("*.yaml"))
SEED = 20260304
EVENTS_A_PRESET = 40
SENT_AN_ACTION = 10
MOST_OTHER_DIFFERENCES = 0.02


@dataclass(frozen=True)
class Script:
    """Answers that the tool gives to the requests of one mapping, in order."""

    answers: list[dict[str, Json]]
    name: str = ""
    each: int = 60
    """Events that are tried with it."""


@dataclass(frozen=True)
class Part:
    """One set-up of a tool to compare."""

    settings: dict[str, Json]
    our_settings: dict[str, Json] = field(default_factory=dict)
    """Laid over `settings` for ours, where ours names them otherwise; null: not given."""
    auth: dict[str, Json] = field(default_factory=dict)
    features: dict[str, bool] = field(default_factory=dict)
    """Switches of the reference that its users have on."""
    mappings: list[dict[str, Json]] | None = None
    """action, trigger, fields, sync_mode, and hooks: what the reference keeps of its setting up;
    None: the presets of both sides."""
    scripts: list[Script] = field(default_factory=list)
    name: str = "default"


@dataclass(frozen=True)
class Case:
    """A tool to compare."""

    tool: str
    """Its name in the package."""
    ours: str
    """Its slug here."""
    parts: list[Part]
    events: dict[str, dict[str, Json]] = field(default_factory=dict)
    """Further track events and their complete properties."""
    traits: list[dict[str, Json]] = field(default_factory=list)
    """Properties and traits of which one is laid over those of each second event."""
    batches: bool = True
    """Whether the reference's batches of events are compared, too."""
    most_different: float = MOST_OTHER_DIFFERENCES
    """The share of fields that may differ; more only where the reference is of no use."""
    differences: list[Listed] = field(default_factory=list)


@pytest.fixture
def node() -> Iterator[Reference]:
    with reference() as process:
        yield process


@pytest.mark.parametrize("name", CASES)
def test_requests_are_those_of_the_reference(name: str, node: Reference) -> None:
    case = msgspec.yaml.decode(
        (Path(__file__).parent / "cases" / f"{name}.yaml").read_bytes(), type=Case
    )
    tally = Tally(case.differences)
    for part in case.parts:
        _compare(case, part, node, tally)

    told = "\n".join(str(difference) for difference in tally.unlisted[:400])
    assert not tally.unlisted, f"{len(tally.unlisted)} differences without a reason:\n{told}"
    unused = [listed.path for listed in case.differences if listed not in tally.used]
    assert not unused, f"these no longer differ: {unused}"
    seldom = {action: count for action, count in tally.sent.items() if count < SENT_AN_ACTION}
    assert not seldom, f"hardly anything is sent that could differ: {seldom}"
    share = len(tally.differing) / tally.fields
    assert share <= case.most_different, f"{share:.1%} of the fields differ"
    print(  # noqa: T201
        f"{name}: {tally.events} events, {tally.requests} requests, {tally.fields} fields, "
        f"{tally.errors} errors on both sides, {len(tally.differing)} listed differences"
    )
    _check_counts(name, _counts(case, tally))


def _counts(case: Case, tally: Tally) -> dict[str, Json]:
    return {
        "tool": case.ours,
        "events": tally.events,
        "requests": tally.requests,
        "equal": tally.equal,
        "fields": tally.fields,
        "differing": len(tally.differing),
        "differences": [
            {
                "path": listed.path,
                "action": listed.action,
                "fields": tally.used[listed],
                "reason": " ".join(listed.reason.split()),
            }
            for listed in case.differences
        ],
    }


def _check_counts(name: str, counts: dict[str, Json]) -> None:
    """Those of `counts.json` must be these; with PENSTOCK_COUNTS=write, they become these."""
    kept = json.loads(COUNTS.read_text(encoding="utf-8"))
    if os.environ.get("PENSTOCK_COUNTS") == "write":
        kept = {case: kept[case] for case in CASES if case in kept} | {name: counts}
        text = json.dumps(dict(sorted(kept.items())), ensure_ascii=False, indent=2)
        COUNTS.write_text(text + "\n", encoding="utf-8")
        return
    assert kept.get(name) == counts, (
        "the counts are others: run this test with PENSTOCK_COUNTS=write, then docs/generate.py"
    )


def test_what_is_counted_is_what_is_compared() -> None:
    assert sorted(json.loads(COUNTS.read_text(encoding="utf-8"))) == CASES


def _compare(case: Case, part: Part, node: Reference, tally: Tally) -> None:
    ours = _ours(case, part)
    order = {
        "tool": case.tool,
        "settings": part.settings,
        "auth": part.auth,
        "features": part.features,
        "mappings": part.mappings and [_as_reference(mapping) for mapping in part.mappings],
    }
    chosen = _events(case, ours)
    runs = [Run([event]) for event in chosen]
    for script in part.scripts:
        taken = [event for event in chosen if ours.matching(event)]
        step = max(1, len(taken) // script.each)
        runs += [Run([event], script.answers) for event in taken[::step]]
    if case.batches:
        runs += _batches(chosen, ours)
    for run, outcomes in zip(runs, node.run(order, runs), strict=True):
        tally.compare(outcomes, ours.run(run))


def _ours(case: Case, part: Part) -> Ours:
    settings = {**part.settings, **part.our_settings}
    mappings = (
        None
        if part.mappings is None
        else [
            msgspec.convert(
                {key: value for key, value in mapping.items() if key != "hooks"}, MappingSetup
            )
            for mapping in part.mappings
        ]
    )
    return Ours(
        registry.definition(case.ours),
        {key: value for key, value in settings.items() if value is not None},
        mappings,
        part.auth.get("accessToken", ""),
    )


def _as_reference(mapping: dict[str, Json]) -> dict[str, Json]:
    renamed = {key: value for key, value in mapping.items() if key not in ("sync_mode", "hooks")}
    fields = {**mapping.get("fields", {}), **mapping.get("hooks", {})}
    return {**renamed, "fields": fields, "syncMode": mapping.get("sync_mode")}


def _events(case: Case, ours: Ours) -> list[dict[str, Json]]:
    """Events of all kinds, and so many more that each mapping takes at least forty."""
    chosen = [*events(SEED), *_others(case, range(6))]
    for number, event in enumerate(chosen):
        _lay_over(case, event, number)
    counts: dict[int, int] = {}
    for event in chosen:
        for mapping in ours.matching(event):
            counts[mapping] = counts.get(mapping, 0) + 1
    few = {mapping for mapping, count in counts.items() if count < EVENTS_A_PRESET}
    number = 16
    while few and number < 200:
        for kind in (*KINDS, *case.events):
            event = event_of(kind, SEED, number, case.events.get(kind))
            _lay_over(case, event, number)
            taking = few & set(ours.matching(event))
            if taking:
                chosen.append(event)
            for mapping in taking:
                counts[mapping] += 1
        few = {mapping for mapping in few if counts[mapping] < EVENTS_A_PRESET}
        number += 1
    assert not few, f"mappings {few} take too few events"
    assert len(counts) == ours.count, "a mapping takes no event at all"
    return chosen


def _others(case: Case, numbers: range) -> Iterator[dict[str, Json]]:
    for name, properties in case.events.items():
        assert name not in semantic.EVENTS
        for number in numbers:
            yield event_of(name, SEED, number, properties)


def _lay_over(case: Case, event: dict[str, Json], number: int) -> None:
    if case.traits and number % 2:
        where = "traits" if event["type"] in ("identify", "group") else "properties"
        event[where] = {**event.get(where, {}), **case.traits[number // 2 % len(case.traits)]}


def _batches(chosen: list[dict[str, Json]], ours: Ours) -> Iterator[Run]:
    """For each mapping that batches, up to four groups of five events.

    Without empty texts: the reference drops those of an event alone, but keeps them in batches.
    """
    for mapping in ours.batching():
        taken = [_without_empty(event) for event in chosen if mapping in ours.matching(event)]
        for start in range(0, min(len(taken), 20), 5):
            if len(taken[start : start + 5]) > 1:
                yield Run(taken[start : start + 5], mapping=mapping)


def _without_empty(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _without_empty(inner) for key, inner in value.items() if inner != ""}
    return [_without_empty(inner) for inner in value] if isinstance(value, list) else value
