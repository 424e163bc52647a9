"""The settings that analytics.js loads before it sends anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["settings_document"]


def settings_document(
    write_key: str, scheme: str, host: str, tools: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The document for a write key, sending the browser back to this collector.

    ``tools`` are entries of ``integrations`` for what else the page loads, by name.

    ``metrics.sampleRate`` is 0, or the library would report about itself to Segment.
    """
    return {
        "integrations": {
            "Segment.io": {
                "apiKey": write_key,
                "apiHost": f"{host}/v1",
                "protocol": scheme,
                "addBundledMetadata": True,
                "unbundledIntegrations": [],
                "maybeBundledConfigIds": {},
                "retryQueue": True,
                "versionSettings": {"version": "4.4.7", "componentTypes": ["browser"]},
            },
            **(tools or {}),
        },
        "plan": {"track": {"__default": {"enabled": True, "integrations": {}}}},
        "edgeFunction": {},
        "analyticsNextEnabled": True,
        "middlewareSettings": {},
        "enabledMiddleware": {},
        "metrics": {"sampleRate": 0, "host": f"{host}/v1"},
        "legacyVideoPluginsEnabled": False,
        "remotePlugins": [],
    }
