"""Whether what a user set up for a destination can work, told before it is saved.

Each error names the place at fault as it stands in the workspace file, such as
``mappings[2].fields.total``, and for a name that is unknown the nearest one that is not.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from penstock.destinations.contract import Action, Destination, Field, Json, Setting
from penstock.destinations.filters import compile_filters
from penstock.destinations.fql import FqlError, compile_trigger
from penstock.destinations.mappings import (
    MATCHING_KEY,
    ROOT_DIRECTIVE,
    SYNC_MODE,
    UNDEFINED,
    MappingError,
)
from penstock.destinations.model import DestinationSetup, MappingSetup
from penstock.destinations.payloads import compile_payload
from penstock.destinations.payloads.coercion import coercer
from penstock.destinations.payloads.schema import schema_of
from penstock.errors import ConfigurationError

__all__ = ["MAX_MAPPINGS", "check_settings", "check_setup", "mappings_of"]

MAX_MAPPINGS = 50
_RESERVED_FIELDS = frozenset({ROOT_DIRECTIVE, SYNC_MODE, MATCHING_KEY})


def check_settings(definition: Destination, values: Mapping[str, Json]) -> dict[str, Any]:
    """The settings a destination works with: ``values``, in the types asked for, and defaults.

    Settings without value and default are left out. Messages never hold a value, as it may be a
    secret. Raises ConfigurationError.
    """
    known = {setting.key: setting for setting in definition.settings}
    for key in values:
        if key not in known:
            raise _unknown(f"settings.{key}", f"{definition.name} has no setting", key, known)
    checked: dict[str, Any] = {}
    for key, setting in known.items():
        value = values.get(key)
        if value is None or value == "":
            value = setting.default
        if value is None or value == "":
            if setting.required:
                raise ConfigurationError(f"settings.{key}: {setting.label} is needed")
            continue
        checked[key] = _checked(setting, value)
    return checked


def mappings_of(definition: Destination, setup: DestinationSetup) -> list[MappingSetup]:
    """The mappings of a destination: its own, or the tool's presets when it names none."""
    if setup.mappings is not None:
        return list(setup.mappings)
    return [
        MappingSetup(
            action=preset.action,
            name=preset.name,
            trigger=preset.trigger,
            fields=dict(preset.fields),
            sync_mode=preset.sync_mode,
        )
        for preset in definition.presets
    ]


def check_setup(definition: Destination, setup: DestinationSetup) -> None:
    """Raise ConfigurationError unless everything in ``setup`` compiles and is known to the tool."""
    check_settings(definition, setup.settings)
    _check_filters(setup)
    mappings = mappings_of(definition, setup)
    if len(mappings) > MAX_MAPPINGS:
        raise ConfigurationError(
            f"mappings: {len(mappings)} are too many; a destination has at most {MAX_MAPPINGS}"
        )
    actions = {action.slug: action for action in definition.actions}
    for number, mapping in enumerate(mappings):
        place = f"mappings[{number}]"
        if mapping.action not in actions:
            what = f"{definition.name} has no action"
            raise _unknown(f"{place}.action", what, mapping.action, actions)
        _check_mapping(actions[mapping.action], mapping, place)


def _check_filters(setup: DestinationSetup) -> None:
    try:
        compile_filters(setup.filters)
    except ConfigurationError as error:
        raise ConfigurationError(f"filters: {error}") from None


def _check_mapping(action: Action, mapping: MappingSetup, place: str) -> None:
    _check_trigger(action, mapping, place)
    _check_sync_mode(action, mapping, place)
    _check_batching(action, mapping, place)
    fields = {field.key: field for field in action.fields}
    for key in mapping.fields:
        if key not in fields and key not in _RESERVED_FIELDS and not action.open:
            what = f"the action {action.slug} has no field"
            raise _unknown(f"{place}.fields.{key}", what, key, fields)
    try:
        compile_payload(action, mapping.fields)
    except MappingError as error:
        raise ConfigurationError(f"{place}.fields.{error}") from None


def _check_trigger(action: Action, mapping: MappingSetup, place: str) -> None:
    trigger = mapping.trigger or action.trigger
    if not trigger:
        raise ConfigurationError(
            f"{place}.trigger: the action {action.slug} has none of its own; say which events, "
            'such as type = "track"'
        )
    try:
        compile_trigger(trigger)
    except FqlError as error:
        raise ConfigurationError(f"{place}.trigger: {error}") from None


def _check_sync_mode(action: Action, mapping: MappingSetup, place: str) -> None:
    if not mapping.sync_mode or mapping.sync_mode in action.sync_modes:
        return
    if not action.sync_modes:
        raise ConfigurationError(f"{place}.sync_mode: the action {action.slug} has no sync modes")
    what = f"the action {action.slug} has no sync mode"
    raise _unknown(f"{place}.sync_mode", what, mapping.sync_mode, action.sync_modes)


def _check_batching(action: Action, mapping: MappingSetup, place: str) -> None:
    if action.batch is None:
        if mapping.batching or mapping.batch_size is not None:
            raise ConfigurationError(f"{place}.batching: the action {action.slug} has no batches")
        return
    if mapping.batch_size is not None and not 1 <= mapping.batch_size <= action.batch.size:
        raise ConfigurationError(f"{place}.batch_size: must be from 1 to {action.batch.size}")


def _checked(setting: Setting, value: Json) -> Json:
    place = f"settings.{setting.key}"
    schema = schema_of(Field(setting.key, setting.label, setting.type))
    value = coercer(schema.types)(value)
    if value is UNDEFINED:
        raise ConfigurationError(f"{place}: must be {_TYPES[setting.type]}")
    choices = [choice.value for choice in setting.choices]
    if choices and value not in choices:
        what = "must be one of " + ", ".join(str(choice) for choice in choices)
        raise ConfigurationError(f"{place}: {what}")
    if setting.pattern and isinstance(value, str) and not re.fullmatch(setting.pattern, value):
        example = f", such as {setting.example}" if setting.example else ""
        raise ConfigurationError(f"{place}: {setting.label} does not look like one{example}")
    return value


_TYPES = {
    "string": "a text",
    "text": "a text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "object": "an object",
}


def _unknown(place: str, what: str, name: str, known: Iterable[str]) -> ConfigurationError:
    names = sorted(known)
    near = difflib.get_close_matches(name, names, 1)
    if near:
        hint = f"did you mean {near[0]}?"
    else:
        hint = f"there are {', '.join(names)}" if names else "there are none"
    return ConfigurationError(f"{place}: {what} {name}; {hint}")
