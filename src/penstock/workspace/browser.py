"""What the pages of a source need for tools that run in the browser."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from penstock.destinations.contract import Destination
from penstock.destinations.model import DestinationSetup
from penstock.errors import PenstockError
from penstock.workspace.destination_rules import tool_of

__all__ = ["MODE_SETTING", "browser_settings"]

log = logging.getLogger("penstock.workspace")
MODE_SETTING = "connection_mode"
"""Setting of a tool of mode ``both`` that says where it runs: ``device`` or ``cloud``."""


def browser_settings(
    destinations: Iterable[DestinationSetup], sources: Iterable[str], tools: Path | None
) -> Mapping[str, Mapping[str, Any]]:
    """By source, by the tool's name: the entry of ``integrations`` in the settings document.

    A tool that the page loads is ``bundled``; analytics.js tells so with each event, and the
    server does not send it again. One that could run there but does not is ``unbundled``. A page
    has one instance of a tool: the first, by slug.
    """
    found: dict[str, dict[str, Any]] = {}
    every = list(sources)
    for setup in destinations:
        if not setup.enabled:
            continue
        try:
            tool = tool_of(setup, tools)
        except PenstockError as error:
            log.error("%s: %s", setup.slug, error)
            continue
        if tool.mode == "cloud":
            continue
        for source in every if setup.sources is None else setup.sources:
            found.setdefault(source, {}).setdefault(tool.name, _entry(tool, setup))
    return found


def _entry(tool: Destination, setup: DestinationSetup) -> dict[str, Any]:
    public = {
        each.key: setup.settings.get(each.key, each.default)
        for each in tool.settings
        if not each.secret and each.key != MODE_SETTING
    }
    entry: dict[str, Any] = {key: value for key, value in public.items() if value is not None}
    on_page = tool.mode == "device" or setup.settings.get(MODE_SETTING) == "device"
    entry["bundlingStatus"] = "bundled" if on_page else "unbundled"
    if on_page:
        entry["type"] = "browser"
        entry["versionSettings"] = {"componentTypes": ["browser"]}
    if setup.consent:
        entry["consentSettings"] = {"categories": list(setup.consent)}
    return entry
