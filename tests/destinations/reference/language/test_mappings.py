"""Mappings and payloads come out as the public package makes them, over generated cases.

They differ on purpose in ``LIQUID_DIFFERENCES``, in directives below `@literal` or in lists (which
are checked when saved, not for each event), in a text that says Infinity, and in a least of 0 and
limits of whole numbers, which count (tests/destinations/test_payloads.py). Nothing else may differ.
"""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.destinations.contract import Action, Call, Choice, Field, InvalidPayload, Steps
from penstock.destinations.mappings import UNDEFINED, MappingError, compile_mapping
from penstock.destinations.payloads import compile_payload
from tests.destinations.reference.language import generating
from tests.requirements import require_npm_packages, require_tool

FOLDER = Path(__file__).parent
SEED = 4
MAPPINGS, PAYLOADS = 3000, 4000
NODE_LIMIT_SECONDS = 300

Json = Any
Result = dict[str, Json]

LIQUID_DIFFERENCES = {
    "{{ 20 | divided_by: 7 }}": ("2", "2.857142857142857"),
    "{{ properties.whole }}": ("5.0", "5"),
    "{{ properties.address }}": (None, "[object Object]"),
    "{{ properties.tags }}": (None, "ab3"),
    "{{ properties.empty | default: 'none' }}": ("refused", "none"),
    "{{ event | no_such_filter }}": ("refused", "Order Completed"),
}
"""What ours and theirs make of a template. None: ours is another text."""


@pytest.fixture(scope="module")
def cases() -> Json:
    """What is tried, by kind; node is asked about mappings and payloads."""
    rng = random.Random(SEED)
    liquid = [*generating.LIQUID, *LIQUID_DIFFERENCES]
    mappings = {
        "generated": [{"out": generating.mapping(rng)} for _ in range(MAPPINGS)],
        "broken": [{"out": broken} for broken in generating.BROKEN],
        "roots": list(generating.ROOTS),
        "liquid": [{"out": {"@liquid": template}} for template in liquid],
    }
    made = {
        kind: [{"mapping": mapping, "event": generating.EVENT} for mapping in each]
        for kind, each in mappings.items()
    }
    return made | {"payloads": [_payload_case(rng) for _ in range(PAYLOADS)]}


@pytest.fixture(scope="module")
def theirs(cases: Json) -> Json:
    """What the public package makes of each case, by kind, from one run of node."""
    kinds = [kind for kind in cases if kind != "payloads"]
    order = {
        "mappings": [case for kind in kinds for case in cases[kind]],
        "payloads": cases["payloads"],
    }
    judged = _judged_by_node(order)
    results = iter(judged["mappings"])
    return {kind: [next(results) for _ in cases[kind]] for kind in kinds} | {
        "payloads": judged["payloads"]
    }


def test_generated_mappings_give_the_same(cases: Json, theirs: Json) -> None:
    _agree(cases["generated"], theirs["generated"], _our_mapping)
    gave = sum("ok" in each and each["ok"] != {} for each in theirs["generated"])
    assert gave > MAPPINGS / 2, "most cases must give something"


def test_both_refuse_the_same_mappings(cases: Json, theirs: Json) -> None:
    _agree(cases["broken"], theirs["broken"], _our_mapping)
    assert all("error" in each for each in theirs["broken"])


def test_a_root_directive_gets_the_other_keys(cases: Json, theirs: Json) -> None:
    _agree(cases["roots"], theirs["roots"], _our_mapping)


def test_generated_payloads_are_taken_or_refused_alike(cases: Json, theirs: Json) -> None:
    _agree(cases["payloads"], theirs["payloads"], _our_payload)
    refused = sum("error" in each for each in theirs["payloads"])
    assert PAYLOADS / 5 < refused < PAYLOADS * 4 / 5, "the cases must try both"


def test_liquid_gives_the_same_but_for_what_is_listed(cases: Json, theirs: Json) -> None:
    common = len(generating.LIQUID)
    _agree(cases["liquid"][:common], theirs["liquid"][:common], _our_mapping)
    for number, (template, (ours, their)) in enumerate(LIQUID_DIFFERENCES.items(), common):
        assert theirs["liquid"][number] == {"ok": {"out": their}}, template
        our = _our_mapping(cases["liquid"][number])
        text = "refused" if "error" in our else our["ok"]["out"]
        assert text != their if ours is None else text == ours, template


def _payload_case(rng: random.Random) -> Json:
    fields = {key: generating.field(rng) for key in ("a", "b", "c")[: rng.randint(1, 2)]}
    payload = {key: generating.value(rng, of) for key, of in fields.items() if rng.random() < 0.95}
    if rng.random() < 0.3:
        payload["unknown"] = "x"
    return {"fields": fields, "payload": payload}


def _judged_by_node(order: Json) -> Json:
    node = require_tool("node")
    require_npm_packages(FOLDER)
    done = subprocess.run(
        [node, "mappings.cjs"],
        cwd=FOLDER,
        input=json.dumps(order),
        capture_output=True,
        text=True,
        timeout=NODE_LIMIT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _agree(cases: list[Json], theirs: list[Result], ours: Callable[[Json], Result]) -> None:
    differing = []
    for case, their in zip(cases, theirs, strict=True):
        our = ours(case)
        if not _same(our, their):
            asked = {key: value for key, value in case.items() if key != "event"}
            differing.append(f"{json.dumps(asked)}\n  ours {our}\n  theirs {their}")
    if differing:
        shown = "\n".join(differing[:20])
        pytest.fail(f"{len(differing)} of {len(cases)} differ:\n{shown}", pytrace=False)


def _same(ours: Result, theirs: Result) -> bool:
    if "error" in ours or "error" in theirs:
        return "error" in ours and "error" in theirs
    return json.dumps(_comparable(ours)) == json.dumps(_comparable(theirs))


def _comparable(value: Json) -> Json:
    """``value`` with keys in order and all numbers floats; true stays apart from 1."""
    if isinstance(value, dict):
        return {key: _comparable(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else value


def _our_mapping(case: Json) -> Result:
    try:
        made = compile_mapping(case["mapping"])(case["event"])
    except (MappingError, InvalidPayload) as error:
        return {"error": str(error)}
    return {"missing": True} if made is UNDEFINED else {"ok": _as_json(made)}


def _our_payload(case: Json) -> Result:
    fields = tuple(_field(key, of) for key, of in case["fields"].items())
    action = Action("act", "Act", _build, fields=fields)
    mapping = {key: {"@literal": value} for key, value in case["payload"].items()}
    try:
        return {"ok": compile_payload(action, mapping)({})}
    except InvalidPayload as error:
        return {"error": str(error)}


def _build(call: Call) -> Steps:
    yield from ()
    return None


def _field(key: str, of: Json) -> Field:
    return Field(
        key,
        of["label"],
        of["type"],
        required=of.get("required", False),
        multiple=of.get("multiple", False),
        allow_null=of.get("allowNull", False),
        choices=tuple(Choice(choice["value"]) for choice in of.get("choices", ())),
        format=of.get("format", ""),
        properties=tuple(_field(name, each) for name, each in of.get("properties", {}).items()),
        additional_properties=of.get("additionalProperties", False),
        minimum=of.get("minimum"),
        maximum=of.get("maximum"),
    )


def _as_json(value: Json) -> Json:
    """``value`` as it is once written: what is undefined in a list is null."""
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [None if item is UNDEFINED else _as_json(item) for item in value]
    return value
