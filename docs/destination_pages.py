"""The pages of the tools that come with Penstock, of their definitions and of what is counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from compared_pages import compared_page, compared_section

from penstock.destinations.contract import Action, Destination, Field
from penstock.destinations.registry import built_in, definition
from penstock.errors import NotFound

__all__ = ["destination_pages"]

FOLDER = Path(__file__).parent / "destinations"


def destination_pages(note: str) -> dict[Path, str]:
    """A page of each tool that comes with Penstock, and their list."""
    tools = [tool for name in built_in() if (tool := _tool_named(name)) is not None]
    rows = [f"| [{tool.name}]({tool.slug}.md) | `{tool.slug}` | {_MODES[tool.mode]} | "
            f"{_cell(tool.help.split('. ')[0].rstrip('.'))} |\n" for tool in tools]  # fmt: skip
    index = (
        "# Destinations\n\n" + note + "The tools that events can be sent to. How to set one up, "
        "filter, map, replay and mend is in\n[Destinations](../guides/destinations.md). Tools "
        "that are no more have a\n[successor](gone.md). How ours compare with public definitions "
        "is\n[counted](compared.md).\n\n"
        "| tool | type | sent from | |\n|---|---|---|---|\n" + "".join(rows)
    )
    pages = {FOLDER / f"{tool.slug}.md": _tool_page(tool, note) for tool in tools}
    names = {tool.slug: tool.name for tool in tools}
    compared = compared_page(note, names)
    return {FOLDER / "index.md": index, FOLDER / "compared.md": compared, **pages}


_MODES = {"cloud": "server", "device": "page", "both": "server or page"}


def _tool_named(package: str) -> Destination | None:
    try:
        return definition(package.replace("_", "-"))
    except NotFound:
        return None


def _tool_page(tool: Destination, note: str) -> str:
    text = f"# {tool.name}\n\n{note}{tool.help}\n"
    if tool.mode != "cloud":
        text += f"\nIt is sent from: {_MODES[tool.mode]}.\n"
    if tool.off_by_default:
        text += "\nAn event reaches it only when its `integrations` name it.\n"
    if tool.extra:
        text += f"\n```console\n$ pip install 'penstock[{tool.extra}]'\n```\n"
    names = [f"`{tool.name}`", *(f"`{alias}`" for alias in tool.aliases)]
    text += f"\nNames in `integrations`: {', '.join(names)}, or the destination's slug.\n"
    if tool.settings:
        text += "\n## Settings\n\n| setting | kind | default | meaning |\n|---|---|---|---|\n"
        text += "".join(
            f"| `{each.key}`{' (required)' if each.required else ''} "
            f"| {each.type}{', secret' if each.secret else ''} | {_value(each.default)} "
            f"| {_cell(_told(each.label, each.help, each.choices))} |\n"
            for each in tool.settings
        )
    if tool.presets:
        text += "\n## Mappings of a new destination\n\n| mapping | action | when |\n|---|---|---|\n"
        text += "".join(
            f"| {_cell(each.name)} | [{each.action}](#{each.action.lower()}) "
            f"| {_code(each.trigger or tool.action(each.action).trigger)} |\n"
            for each in tool.presets
        )
        text += "".join(_laid_over(each.name, each.fields) for each in tool.presets)
    text += "\n## Actions\n" + "".join(_action(each) for each in tool.actions)
    if not tool.actions:
        text += "\nNone: the page sends to it.\n"
    lines = [f"- {each}\n" for each in tool.limits]
    text += "\n## Limits\n\n" + "".join(lines) if lines else ""
    text += f"\n## Try it\n\n{tool.test_mode}\n" if tool.test_mode else ""
    text += compared_section(tool.slug)
    if tool.sources:
        text += "\n## Made from\n\n" + "".join(f"- <{each}>\n" for each in tool.sources)
    return text


def _action(action: Action) -> str:
    text = f"\n### {action.slug}\n\n{action.name}. {action.help}".rstrip() + "\n"
    if action.trigger:
        text += f"\nWhen: {_code(action.trigger)}\n"
    if action.sync_modes:
        text += f"\nModes: {', '.join(f'`{mode}`' for mode in action.sync_modes)}\n"
    if action.batch:
        when = "batches" if action.batch.on else "can batch (`batching: true`)"
        text += f"\nIt {when} up to {action.batch.size:,} events.\n"
    if action.fields:
        text += "\n| field | kind | made of | meaning |\n|---|---|---|---|\n"
        text += "".join(_field(each) for each in action.fields)
    return text


def _field(field: Field) -> str:
    kind = f"list of {field.type}" if field.multiple else field.type
    needed = " (required)" if field.required else ""
    meaning = _cell(_told(field.label, field.help, field.choices))
    return f"| `{field.key}`{needed} | {kind} | {_value(field.default)} | {meaning} |\n"


def _laid_over(name: str, fields: Any) -> str:
    if not fields:
        return ""
    rows = "".join(f"| `{key}` | {_value(value) or 'nothing'} |\n" for key, value in fields.items())
    return f"\n**{_cell(name)}** has fields of its own:\n\n| field | made of |\n|---|---|\n{rows}"


def _told(label: str, text: str, choices: Any) -> str:
    said = text or label
    if choices:
        said = f"{said.rstrip('.')}. One of {', '.join(f'`{each.value}`' for each in choices)}."
    return said


def _value(value: Any) -> str:
    """A default or a mapping, as code."""
    if value is None or value == "":
        return ""
    return _code(json.dumps(value, ensure_ascii=False))


def _code(text: str) -> str:
    """Code in a cell of a table."""
    return f"`{text}`".replace("|", "\\|") if text else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
