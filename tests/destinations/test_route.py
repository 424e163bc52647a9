"""Which events go to a destination, and the reason code of those that don't."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.destinations.contract import (
    Action,
    Batch,
    Call,
    Destination,
    Field,
    Preset,
    Steps,
)
from penstock.destinations.model import DestinationSetup, Filter, MappingSetup
from penstock.destinations.route import Route
from penstock.destinations.routed import PLACES
from penstock.errors import ConfigurationError


def _build(_: Call) -> Steps:
    yield from ()
    return None


TOOL = Destination(
    slug="bell-tower",
    name="Bell Tower",
    aliases=("Bell",),
    help="Rings.",
    actions=(
        Action(
            "ring",
            "Ring",
            _build,
            trigger='type = "track"',
            fields=(
                Field("total", "Total", "number", default={"@path": "$.properties.total"}),
                Field("who", "Who", required=True, default={"@path": "$.userId"}),
            ),
            batch=Batch(100, on=False),
            sync_modes=("upsert", "add"),
        ),
    ),
    presets=(Preset("Tracks", "ring"),),
)


def setup(**how: Any) -> DestinationSetup:
    return DestinationSetup("my_bell", "bell-tower", **how)


def event(**more: Any) -> dict[str, Any]:
    return {
        "type": "track", "event": "A", "userId": "u1", "messageId": "m1",
        "properties": {"total": 5}, **more,
    }  # fmt: skip


def reason(route: Route, **more: Any) -> str:
    return route(event(**more), "web").reason


def test_a_matching_event_becomes_a_payload() -> None:
    given = event()
    (planned,) = Route(TOOL, setup())(given, "web").planned
    assert (planned.place, planned.mapped.action.slug) == (0, "ring")
    assert planned.payload == {"total": 5, "who": "u1"}
    assert planned.mapped.sync_mode == "upsert"
    assert planned.mapped.batch is None
    assert given == event()


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        (None, True),
        ({}, True),
        ({"All": True}, True),
        ({"All": False}, False),
        ({"All": False, "my_bell": True}, True),
        ({"All": False, "Bell Tower": True}, True),
        ({"All": False, "Bell": {"volume": 3}}, True),
        ({"Bell Tower": False}, False),
        ({"Bell Tower": False, "my_bell": True}, True),
        ({"Bell Tower": True, "my_bell": False}, False),
        ({"bell tower": False}, True),
        ({"All": False, "Other": True}, False),
        ({"Other": False}, True),
        ("no object", True),
    ],
)
def test_the_integrations_object_decides(flags: Any, wanted: bool) -> None:
    found = reason(Route(TOOL, setup()), integrations=flags)
    assert found == ("" if wanted else "FILTERED_BY_INTEGRATIONS_OBJECT")


def test_a_tool_that_is_off_by_default_has_to_be_named() -> None:
    from dataclasses import replace

    route = Route(replace(TOOL, off_by_default=True), setup())
    assert reason(route) == "FILTERED_BY_INTEGRATIONS_OBJECT"
    assert reason(route, integrations={"All": True}) == "FILTERED_BY_INTEGRATIONS_OBJECT"
    assert reason(route, integrations={"Bell Tower": True}) == ""


def test_what_the_browser_sent_is_not_sent_again() -> None:
    route = Route(TOOL, setup())
    assert reason(route, _metadata={"bundled": ["Bell Tower"]}) == "MESSAGE_SENT_CLIENT_SIDE"
    assert reason(route, _metadata={"bundled": ["Segment.io"], "unbundled": ["Bell Tower"]}) == ""
    assert reason(route, _metadata="odd") == ""


def test_all_categories_must_be_granted() -> None:
    route = Route(TOOL, setup(consent=("ads", "analytics")))

    def of(preferences: Any, **more: Any) -> str:
        return reason(route, context={"consent": {"categoryPreferences": preferences}}, **more)

    refused = "FILTERED_BY_END_USER_CONSENT"
    assert of({"ads": True, "analytics": True}) == ""
    assert of({"ads": True, "analytics": False}) == refused
    assert of({"ads": True}) == refused
    assert of({}) == refused
    assert of("odd") == refused
    assert of({}, event="Segment Consent Preference Updated") == ""
    assert reason(route) == ""
    assert reason(route, context=None) == ""


def test_filters_triggers_and_sources() -> None:
    route = Route(TOOL, setup(filters=(Filter(drop='event = "B"'),), sources=("web",)))
    assert reason(route) == ""
    assert reason(route, event="B") == "FILTERED_BY_RULES"
    assert reason(route, type="page") == "NO_MATCHING_MAPPING"
    assert route(event(), "other").reason == "OTHER_SOURCE"


def test_each_mapping_that_matches_is_planned_and_disabled_ones_are_not() -> None:
    rules = (
        MappingSetup("ring", fields={"total": 1}),
        MappingSetup("ring", enabled=False),
        MappingSetup("ring", trigger='event = "B"'),
        MappingSetup("ring", batching=True, batch_size=7, sync_mode="add"),
    )
    planned = Route(TOOL, setup(mappings=rules))(event(), "web").planned
    assert [one.place for one in planned] == [0, 3]
    assert planned[0].payload["total"] == 1
    batch = planned[1].mapped.batch
    assert batch is not None
    assert batch.size == 7
    assert planned[1].mapped.sync_mode == "add"


def test_a_payload_that_can_not_be_made_is_told_beside_those_that_can() -> None:
    rules = (MappingSetup("ring", fields={"who": None}), MappingSetup("ring"))
    found = Route(TOOL, setup(mappings=rules))(event(), "web")
    assert [one.place for one in found.planned] == [1]
    (bad,) = found.unsendable
    assert (bad.place, bad.skipped) == (0, False)
    assert "who" in bad.reason


def test_functions_come_before_the_mappings_and_may_make_more_or_none() -> None:
    class Functions:
        def __call__(self, event: dict[str, Any]) -> list[dict[str, Any]]:
            return made

        def prepare(self, event: dict[str, Any]) -> None:
            prepared.append(event)

    made: list[dict[str, Any]] = []
    prepared: list[dict[str, Any]] = []
    route = Route(TOOL, setup(filters=(Filter(drop='event = "B"'),)), functions=Functions())
    route.prepare(event(event="B"), "web")
    route.prepare(event(), "web")
    assert prepared == [event()]
    assert reason(route) == "FILTERED_BY_FUNCTION"
    made.append(event(type="page"))
    assert reason(route) == "NO_MATCHING_MAPPING"
    made.extend([event(userId="u2"), event(userId="u3")])
    planned = route(event(), "web").planned
    assert [one.payload["who"] for one in planned] == ["u2", "u3"]
    assert [one.place for one in planned] == [PLACES, 2 * PLACES]


def test_a_replay_is_addressed_to_this_destination_alone() -> None:
    route = Route(TOOL, setup(consent=("ads",)))
    held_back = event(context={"consent": {"categoryPreferences": {"ads": False}}})
    replayed = route.replayed({**held_back, "integrations": {"All": True, "Bell": False}})
    assert replayed["integrations"] == {"All": False, "my_bell": True}
    assert route(replayed, "web").reason == "FILTERED_BY_END_USER_CONSENT"


def test_a_setup_that_names_no_action_is_refused() -> None:
    with pytest.raises((ConfigurationError, KeyError)):
        Route(TOOL, setup(mappings=(MappingSetup("sing"),)))


NOTICE = {
    "context": {"personas": {"computation_class": "audience", "computation_key": "vip"}},
    "integrations": {"All": False, "my_bell": True},
}


@pytest.mark.parametrize(
    ("flags", "source", "reason"),
    [
        ({"All": False, "my_bell": True}, "penstock", ""),
        ({"All": False, "my_bell": {"list": "7"}}, "penstock", ""),
        ({"All": False, "other": True}, "penstock", "OTHER_SOURCE"),
        ({"All": False, "my_bell": False}, "penstock", "OTHER_SOURCE"),
        ({"my_bell": None}, "penstock", "OTHER_SOURCE"),
        ({"Bell": True}, "penstock", "OTHER_SOURCE"),
        (None, "penstock", "OTHER_SOURCE"),
        ({"All": False, "my_bell": True}, "shop", "OTHER_SOURCE"),
        ({"All": False, "my_bell": True}, "web", ""),
    ],
)
def test_own_notices_reach_whom_they_name_whatever_sources_it_has(
    flags: Any, source: str, reason: str
) -> None:
    route = Route(TOOL, setup(sources=("web",)))
    assert route(event(**{**NOTICE, "integrations": flags}), source).reason == reason
    assert not route(event(**{**NOTICE, "integrations": flags}), source).planned or reason == ""


def test_a_replay_takes_notices_only_to_whom_they_were_for() -> None:
    route = Route(TOOL, setup())
    assert route(route.replayed(event(**NOTICE)), "penstock").reason == ""
    other = event(**{**NOTICE, "integrations": {"All": False, "other": True}})
    assert route(route.replayed(other), "penstock").reason == "FILTERED_BY_INTEGRATIONS_OBJECT"
    usual = event(integrations={"All": False, "other": True})
    assert route(route.replayed(usual), "web").reason == ""
