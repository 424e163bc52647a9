"""Where a project's data lives."""

from __future__ import annotations

from penstock.destinations.contract import Settings

__all__ = ["host"]

_HOSTS = {
    "us": "https://api.mixpanel.com",
    "eu": "https://api-eu.mixpanel.com",
    "in": "https://api-in.mixpanel.com",
}


def host(settings: Settings) -> str:
    """The host of the region that the settings name."""
    return _HOSTS[settings["apiRegion"]]
