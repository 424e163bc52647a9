"""Where SendGrid processes what it is sent."""

from __future__ import annotations

from penstock.destinations.contract import Settings

__all__ = ["EUROPE", "GLOBAL", "root"]

GLOBAL = "https://api.sendgrid.com"
EUROPE = "https://api.eu.sendgrid.com"


def root(settings: Settings) -> str:
    """The address of the API."""
    return str(settings.get("endpoint") or GLOBAL)
