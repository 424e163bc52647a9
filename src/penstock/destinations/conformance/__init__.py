"""What every definition of a tool must hold to, ours and yours alike.

A test of a package that brings a tool needs no more than this::

    from penstock.destinations.conformance import faults

    def test_the_definition_holds_to_the_contract():
        assert faults(DESTINATION) == []
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penstock.destinations.conformance.behaviour import behaviour_faults
from penstock.destinations.conformance.samples import EVENTS
from penstock.destinations.conformance.shape import example_settings, shape_faults
from penstock.destinations.contract import Destination
from penstock.errors import ConfigurationError

__all__ = ["faults"]


def faults(definition: Destination, events: Sequence[dict[str, Any]] = ()) -> list[str]:
    """What is wrong with a definition, each with its place; empty: nothing was found.

    ``events`` are tried beside the built-in ones: give some when a preset takes what only your
    users send. Nothing is sent.
    """
    found = shape_faults(definition)
    if found or not definition.actions:
        return found
    try:
        settings = example_settings(definition)
    except ConfigurationError as error:
        return [f"{error}: give the setting a default, or an example that works"]
    return behaviour_faults(definition, settings, [*EVENTS, *events])
