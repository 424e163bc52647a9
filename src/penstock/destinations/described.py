"""Tools and destinations as plain data: for the API and commands."""

from __future__ import annotations

from typing import Any

import msgspec

from penstock.destinations.contract import Destination
from penstock.destinations.model import DestinationSetup, Filter, MappingSetup, Retrying

__all__ = [
    "ActionBody",
    "DestinationBody",
    "FieldBody",
    "PresetBody",
    "SettingBody",
    "ToolBody",
    "ToolSummary",
    "destination_body",
    "tool_body",
    "tool_summary",
]


class DestinationBody(msgspec.Struct):
    """A destination as it is."""

    slug: str
    type: str
    name: str
    enabled: bool
    sources: list[str] | None
    """Null: all sources."""
    settings: dict[str, Any]
    """Secrets are ********."""
    filters: list[Filter]
    mappings: list[MappingSetup] | None
    """Null: the tool's presets."""
    consent: list[str]
    delivery: Retrying
    functions: list[str]


class SettingBody(msgspec.Struct):
    """A setting of a tool."""

    key: str
    label: str
    type: str
    help: str
    required: bool
    secret: bool
    default: Any
    choices: list[str | float]


class FieldBody(msgspec.Struct):
    """A field of an action."""

    key: str
    label: str
    type: str
    help: str
    required: bool
    multiple: bool
    default: Any
    """A mapping."""


class ActionBody(msgspec.Struct):
    """Something that a tool can be told."""

    slug: str
    name: str
    help: str
    trigger: str
    fields: list[FieldBody]
    sync_modes: list[str]
    batch_size: int | None


class PresetBody(msgspec.Struct):
    """A mapping that a new destination has."""

    name: str
    action: str
    trigger: str
    fields: dict[str, Any]


class ToolSummary(msgspec.Struct):
    """A tool, in short."""

    slug: str
    name: str
    help: str
    mode: str


class ToolBody(msgspec.Struct):
    """A tool: what it is asked for, and what it can be told."""

    slug: str
    name: str
    help: str
    mode: str
    website: str
    settings: list[SettingBody]
    actions: list[ActionBody]
    presets: list[PresetBody]
    limits: list[str]
    test_mode: str


def tool_summary(tool: Destination) -> ToolSummary:
    """A tool, in short."""
    return ToolSummary(tool.slug, tool.name, tool.help, tool.mode)


def tool_body(tool: Destination) -> ToolBody:
    """All that there is to know before setting one up."""
    return ToolBody(
        tool.slug, tool.name, tool.help, tool.mode, tool.website,
        [
            SettingBody(each.key, each.label, each.type, each.help, each.required, each.secret,
                        each.default, [choice.value for choice in each.choices])
            for each in tool.settings
        ],
        [
            ActionBody(
                each.slug, each.name, each.help, each.trigger,
                [
                    FieldBody(field.key, field.label, field.type, field.help, field.required,
                              field.multiple, field.default)
                    for field in each.fields
                ],
                list(each.sync_modes), each.batch.size if each.batch else None,
            )
            for each in tool.actions
        ],
        [
            PresetBody(each.name, each.action, each.trigger, dict(each.fields))
            for each in tool.presets
        ],
        list(tool.limits), tool.test_mode,
    )  # fmt: skip


def destination_body(setup: DestinationSetup) -> DestinationBody:
    """A destination whose secrets are masked, with every field."""
    fields = {name: getattr(setup, name) for name in DestinationBody.__struct_fields__}
    listed = {name: list(value) for name, value in fields.items() if isinstance(value, tuple)}
    return DestinationBody(**{**fields, **listed})
