"""A set-up that can't work is refused, with the place and what to write instead."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.destinations.contract import (
    Action,
    Batch,
    Call,
    Choice,
    Destination,
    Field,
    Preset,
    Setting,
    Steps,
)
from penstock.destinations.model import DestinationSetup, Filter, MappingSetup
from penstock.destinations.setup import check_settings, check_setup, mappings_of
from penstock.errors import ConfigurationError


def build(call: Call) -> Steps:
    yield from ()
    return None


BELL = Destination(
    slug="bell",
    name="Bell",
    help="Rings.",
    settings=(
        Setting("api_key", "API key", required=True, secret=True, pattern="[a-z0-9]+"),
        Setting("region", "Region", default="us", choices=(Choice("us"), Choice("eu"))),
        Setting("loud", "Loud", "boolean"),
        Setting("volume", "Volume", "integer"),
    ),
    actions=(
        Action(
            "ring",
            "Ring",
            build,
            trigger='type = "track"',
            fields=(Field("total", "Total", "number", default={"@path": "$.properties.total"}),),
            batch=Batch(100),
            sync_modes=("add", "delete"),
        ),
        Action("free", "Free", build, open=True),
    ),
    presets=(Preset("Orders", "ring", 'event = "Order Completed"', {"total": 1}, "add"),),
)
SETTINGS = {"api_key": "k3y"}


def setup(**more: Any) -> DestinationSetup:
    return DestinationSetup(slug="my_bell", type="bell", **({"settings": SETTINGS} | more))


def test_settings_get_defaults_and_types() -> None:
    given = {"api_key": 12345, "loud": "true", "volume": "7"}

    assert check_settings(BELL, given) == {
        "api_key": "12345",
        "region": "us",
        "loud": True,
        "volume": 7,
    }
    assert check_settings(BELL, {"api_key": "a", "loud": None}) == {"api_key": "a", "region": "us"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"api_kye": "x"}, "settings.api_kye: Bell has no setting api_kye; did you mean api_key?"),
        ({}, "settings.api_key: API key is needed"),
        ({"api_key": ""}, "settings.api_key: API key is needed"),
        ({"api_key": "NO SECRET"}, "settings.api_key: API key does not look like one"),
        ({**SETTINGS, "region": "mars"}, "settings.region: must be one of us, eu"),
        ({**SETTINGS, "loud": "maybe"}, "settings.loud: must be true or false"),
        ({**SETTINGS, "volume": 1.5}, "settings.volume: must be a whole number"),
    ],
)
def test_settings_that_are_wrong_are_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_settings(BELL, given)

    assert str(caught.value) == message


def test_presets_stand_in_for_mappings_that_are_not_given() -> None:
    [preset] = mappings_of(BELL, setup())

    assert preset == MappingSetup(
        action="ring",
        name="Orders",
        trigger='event = "Order Completed"',
        fields={"total": 1},
        sync_mode="add",
    )
    assert mappings_of(BELL, setup(mappings=())) == []
    check_setup(BELL, setup())


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"action": "rign"}, "mappings[1].action: Bell has no action rign; did you mean ring?"),
        (
            {"action": "ring", "fields": {"totl": 1}},
            "mappings[1].fields.totl: the action ring has no field totl; did you mean total?",
        ),
        (
            {"action": "ring", "fields": {"total": {"@if": {"then": 1}}}},
            'mappings[1].fields.total.@if: needs "exists"',
        ),
        ({"action": "ring", "trigger": "type = "}, "mappings[1].trigger: "),
        ({"action": "free"}, "mappings[1].trigger: the action free has none of its own"),
        (
            {"action": "ring", "sync_mode": "ad"},
            "mappings[1].sync_mode: the action ring has no sync mode ad; did you mean add?",
        ),
        ({"action": "ring", "batch_size": 101}, "mappings[1].batch_size: must be from 1 to 100"),
        (
            {"action": "free", "trigger": 'type = "track"', "batching": True},
            "mappings[1].batching: the action free has no batches",
        ),
    ],
)
def test_mappings_that_are_wrong_are_named(mapping: dict[str, Any], message: str) -> None:
    mappings = (MappingSetup(action="ring"), MappingSetup(**mapping))

    with pytest.raises(ConfigurationError) as caught:
        check_setup(BELL, setup(mappings=mappings))

    assert str(caught.value).startswith(message)


def test_an_open_action_takes_any_field_and_a_closed_one_the_reserved_names() -> None:
    root = {"__segment_internal_directive": {"@transform": {"apply": {"a": 1}}}}
    mappings = (
        MappingSetup(action="free", trigger='type = "track"', fields={"mine": 1}),
        MappingSetup(action="ring", fields=root),
    )

    check_setup(BELL, setup(mappings=mappings))


def test_there_is_an_end_to_mappings_and_filters() -> None:
    with pytest.raises(ConfigurationError, match="mappings: 51 are too many"):
        check_setup(BELL, setup(mappings=(MappingSetup(action="ring"),) * 51))
    with pytest.raises(ConfigurationError, match="filters: "):
        check_setup(BELL, setup(filters=(Filter(drop='event = "a"'),) * 11))
    with pytest.raises(ConfigurationError, match="filters: filter 2"):
        check_setup(BELL, setup(filters=(Filter(drop="all"), Filter(drop="event = "))))
