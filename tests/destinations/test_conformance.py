"""Every tool holds to the contract; what breaks it is named, for tools of users as for ours."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from penstock.destinations import registry
from penstock.destinations.conformance import faults
from penstock.destinations.contract import (
    Action,
    Batch,
    Call,
    Destination,
    Field,
    Preset,
    Request,
    Setting,
    Steps,
)
from tests.destinations.reference.generation import events

SLUGS = sorted(registry.definitions())
GENERATED = list(events(20260304, each=2, others=4))

OWN: dict[str, list[dict[str, Any]]] = {
    "appsflyer": [
        {
            **GENERATED[0],
            "type": "track",
            "event": "Order Completed",
            "context": {"device": {"type": "ios"}, "app": {"namespace": "id123456789"}},
            "properties": {"total": 3},
            "integrations": {"AppsFlyer": {"appsFlyerId": "1415211453000-6513894"}},
        }
    ],
}
"""Events that a tool needs and the generated ones are not."""


@pytest.mark.parametrize("slug", SLUGS)
def test_each_tool_holds_to_the_contract(slug: str) -> None:
    assert faults(registry.definition(slug), [*GENERATED, *OWN.get(slug, ())]) == []


def _ring(call: Call) -> Steps:
    for index, payload in enumerate(call.payloads):
        yield Request("POST", call.settings["url"], json=payload, items=(index,))
    return None


ACTION = Action(
    "ring",
    "Ring",
    _ring,
    trigger='type = "track"',
    fields=(Field("total", "Total", "number", default={"@path": "$.properties.total"}),),
    batch=Batch(10),
)
BELL = Destination(
    slug="bell",
    name="Bell",
    help="Rings a bell.",
    settings=(
        Setting("url", "Address", required=True),
        Setting("pin", "PIN", pattern="[0-9]{4}", example="1234"),
    ),
    actions=(ACTION,),
    presets=(Preset("Orders", "ring"),),
)


def test_a_plain_definition_has_no_faults() -> None:
    assert faults(BELL) == []


def test_a_tool_that_only_the_page_sends_to_needs_no_actions() -> None:
    page = replace(BELL, mode="device", actions=(), presets=())
    assert faults(page) == []
    assert "only the page sends" in faults(replace(page, actions=(ACTION,)))[0]
    assert 'mode "device"' in faults(replace(page, mode="cloud"))[0]


def _with(build: Any, **changes: Any) -> Destination:
    return replace(BELL, actions=(replace(ACTION, build=build, **changes),))


def _crash(call: Call) -> Steps:
    yield Request("POST", "https://bell.test")
    raise ValueError("oh")


def _chance(call: Call) -> Steps:
    yield Request("POST", "https://bell.test", json=random.random())
    return None


def _endless(call: Call) -> Steps:
    while True:
        yield Request("GET", "https://bell.test")


def _keeping(call: Call) -> Steps:
    call.settings["seen"] = True  # type: ignore[index]
    yield Request("GET", "https://bell.test")
    return None


def _eager(call: Call) -> Steps:
    answer = yield Request("POST", "https://bell.test")
    answer.json()["id"].lower()
    return None


def _odd(call: Call) -> Steps:
    yield Request("post", "bell.test", {"x": 1}, json={"a": {1, 2}}, form={}, items=(99,))  # type: ignore[dict-item]
    return None


def _wrong_result(call: Call) -> Any:
    yield Request("GET", "https://bell.test")
    return {0: "failed"}


def _nothing(call: Call) -> Steps:
    yield from ()
    return None


_TWICE = (Setting("url", "A"), Setting("url", "B"))


@pytest.mark.parametrize(
    ("definition", "says"),
    [
        (replace(BELL, slug="Bell!"), "slug"),
        (replace(BELL, help=" "), "help"),
        (replace(BELL, settings=_TWICE), "url is there 2 times"),
        (replace(BELL, settings=(Setting("api_key", "Key"),)), "secret=True"),
        (replace(BELL, settings=(Setting("k", "K", secret=True, default="x"),)), "no default"),
        (replace(BELL, settings=(Setting("n", "N", "integer", default="x"),)), "whole number"),
        (
            replace(BELL, settings=(Setting("p", "P", required=True, pattern="[0-9]{4}"),)),
            "example",
        ),
        (replace(BELL, presets=(Preset("X", "rng"),)), "no action rng"),
        (replace(BELL, presets=(Preset("X", "ring", trigger="type ="),)), "position"),
        (replace(BELL, presets=(Preset("X", "ring", fields={"totl": 1}),)), "did you mean total"),
        (replace(BELL, presets=(Preset("X", "ring", trigger='event = "Rare"'),)), "give events"),
        (_with(_ring, trigger='type = "track" AND x'), "actions.ring"),
        (_with(_ring, fields=(Field("a", "A", default={"@pth": "x"}),)), "@pth"),
        (_with(_ring, fields=(Field("a", "A"), Field("a", "B"))), "a is there 2 times"),
        (_with(_ring, batch=Batch(1)), "size of 1"),
        (_with(_ring, batch=Batch(5, keys=("lst",))), "lst"),
        (_with(_crash), "raises ValueError"),
        (_with(_chance), "call.new_id"),
        (_with(_endless), "does not end"),
        (_with(_keeping), "settings are changed"),
        (_with(_eager), "answered 200 {}: raises KeyError"),
        (_with(_odd), "is no address"),
        (_with(_odd), "not in capitals"),
        (_with(_odd), "several bodies"),
        (_with(_odd), "texts only"),
        (_with(_odd), "payloads there are not"),
        (_with(_wrong_result), "failures by index"),
        (_with(_nothing), "no event of the suite"),
    ],
)
def test_what_breaks_the_contract_is_named(definition: Destination, says: str) -> None:
    found = faults(definition)
    assert any(says in fault for fault in found), found


def test_a_rare_event_can_be_given() -> None:
    rare = replace(BELL, presets=(Preset("X", "ring", trigger='event = "Rare"'),))
    assert faults(rare, [{"type": "track", "event": "Rare", "messageId": "m"}]) == []


@pytest.fixture
def guide() -> Iterator[str]:
    text = (Path(__file__).parents[2] / "docs/guides/destinations.md").read_text(encoding="utf-8")
    yield text.partition('bell.py"\n')[2].partition("```")[0]


def test_the_tool_of_the_guide_is_a_file_that_holds_to_the_contract(
    guide: str, tmp_path: Path
) -> None:
    (tmp_path / "bell.py").write_text(guide)
    assert faults(registry.definition("bell", tmp_path)) == []
