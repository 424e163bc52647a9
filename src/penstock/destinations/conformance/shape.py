"""Whether a definition is complete and says what it means."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from penstock.destinations.contract import Action, Destination, Field, Setting
from penstock.destinations.fql import FqlError, compile_trigger
from penstock.destinations.mappings import MappingError
from penstock.destinations.model import DestinationSetup
from penstock.destinations.payloads import compile_payload
from penstock.destinations.setup import check_settings, check_setup
from penstock.errors import ConfigurationError

__all__ = ["example_settings", "shape_faults"]

_SLUG = re.compile(r"[a-z][a-z0-9-]{0,62}")
_SECRET = re.compile(r"(password|secret|api_?key|access_?token)$", re.IGNORECASE)
_BY_TYPE: dict[str, Any] = {"number": 1.5, "integer": 1, "boolean": True, "object": {}}


def shape_faults(definition: Destination) -> list[str]:
    """What can be told without an event."""
    return [*_of_tool(definition), *_of_settings(definition), *_of_actions(definition)]


def example_settings(definition: Destination) -> dict[str, Any]:
    """Settings that the definition itself takes. Raises ConfigurationError: it has no such."""
    return check_settings(
        definition, {setting.key: _example(setting) for setting in definition.settings}
    )


def _of_tool(definition: Destination) -> Iterator[str]:
    if not _SLUG.fullmatch(definition.slug):
        yield f"slug {definition.slug!r}: small letters, digits and -, a letter first"
    for part in ("name", "help"):
        if not getattr(definition, part).strip():
            yield f"{part}: is empty, and pages and forms show it"
    if definition.mode == "device":
        if definition.actions or definition.presets:
            yield "actions: mode device means that only the page sends, so there are none"
    elif not definition.actions:
        yield 'actions: there are none; a tool that only the page sends to has mode "device"'


def _of_settings(definition: Destination) -> Iterator[str]:
    yield from _twice("settings", (setting.key for setting in definition.settings))
    for setting in definition.settings:
        place = f"settings.{setting.key}"
        if setting.secret and setting.default not in (None, ""):
            yield f"{place}: a secret has no default, as everybody would know it"
        if (
            not setting.secret
            and setting.type in ("string", "text")
            and _SECRET.search(setting.key)
        ):
            yield f"{place}: is not secret=True, so it would be shown and exported"
        for value in (setting.default, setting.example):
            if value not in (None, ""):
                yield from _not_taken(setting, value)


def _not_taken(setting: Setting, value: Any) -> Iterator[str]:
    alone = Destination("x", "x", "x", (), settings=(setting,))
    try:
        check_settings(alone, {setting.key: _read(setting, value)})
    except (ConfigurationError, msgspec.DecodeError, re.error) as error:
        yield f"settings.{setting.key}: its own default or example is refused: {error}"


def _of_actions(definition: Destination) -> Iterator[str]:
    yield from _twice("actions", (action.slug for action in definition.actions))
    for action in definition.actions:
        yield from _of_action(action)
    slugs = {action.slug for action in definition.actions}
    unknown = [preset.action for preset in definition.presets if preset.action not in slugs]
    if unknown:
        yield f"presets: there is no action {unknown[0]}"
        return
    try:
        setup = DestinationSetup("example", definition.slug, settings=example_settings(definition))
        check_setup(definition, setup)
    except ConfigurationError as error:
        yield f"presets and examples of settings: {error}"


def _of_action(action: Action) -> Iterator[str]:
    place = f"actions.{action.slug}"
    yield from _twice(f"{place}.fields", (field.key for field in action.fields))
    keys = {field.key for field in action.fields}
    known = [*(action.batch.keys if action.batch else ()), *action.internal]
    for key in known:
        if key not in keys and not action.open:
            yield f"{place}: batch keys or internal name a field {key} that there is not"
    if action.batch and action.batch.size < 2:
        yield f"{place}.batch: has a size of {action.batch.size}; without batches it is None"
    try:
        compile_payload(action, {})
        if action.trigger:
            compile_trigger(action.trigger)
    except (FqlError, MappingError) as error:
        yield f"{place}: {error}"
    for field in action.fields:
        yield from _of_field(f"{place}.fields.{field.key}", field)


def _of_field(place: str, field: Field) -> Iterator[str]:
    if field.properties and field.type != "object":
        yield f"{place}: has properties, but is no object"
    yield from _twice(place, (each.key for each in field.properties))
    for each in field.properties:
        yield from _of_field(f"{place}.{each.key}", each)


def _twice(place: str, keys: Iterable[str]) -> Iterator[str]:
    for key, count in Counter(keys).items():
        if count > 1:
            yield f"{place}: {key} is there {count} times"


def _example(setting: Setting) -> Any:
    if setting.example:
        return _read(setting, setting.example)
    if setting.default not in (None, "") or not setting.required:
        return setting.default
    if setting.choices:
        return setting.choices[0].value
    return _BY_TYPE.get(setting.type, "https://tool.example/" if "url" in setting.key else "x1")


def _read(setting: Setting, value: Any) -> Any:
    """Examples are texts; those of objects are JSON."""
    if setting.type == "object" and isinstance(value, str):
        return msgspec.json.decode(value)
    return value
