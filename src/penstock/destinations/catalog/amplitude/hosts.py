"""Amplitude's endpoints.

Source: https://amplitude.com/docs/apis/analytics/http-v2
"""

from __future__ import annotations

from penstock.destinations.contract import Settings

__all__ = ["endpoint"]

_ENDPOINTS = {
    "batch": ("https://api2.amplitude.com/batch", "https://api.eu.amplitude.com/batch"),
    "httpapi": ("https://api2.amplitude.com/2/httpapi", "https://api.eu.amplitude.com/2/httpapi"),
    "identify": ("https://api2.amplitude.com/identify", "https://api.eu.amplitude.com/identify"),
    "groupidentify": (
        "https://api2.amplitude.com/groupidentify",
        "https://api.eu.amplitude.com/groupidentify",
    ),
    "usermap": ("https://api.amplitude.com/usermap", "https://api.eu.amplitude.com/usermap"),
    "usersearch": (
        "https://amplitude.com/api/2/usersearch",
        "https://analytics.eu.amplitude.com/api/2/usersearch",
    ),
}


def endpoint(name: str, settings: Settings) -> str:
    """The address of that endpoint in the region that the settings name."""
    worldwide, europe = _ENDPOINTS[name]
    return europe if settings["endpoint"] == "europe" else worldwide
