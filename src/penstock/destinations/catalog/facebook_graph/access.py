"""The Graph API: where it is, and how we show who we are."""

from __future__ import annotations

from dataclasses import replace

from penstock.destinations.contract import Request, Setting, Settings

__all__ = ["ACCESS_TOKEN", "GRAPH", "authorize"]

GRAPH = "https://graph.facebook.com/v24.0"

ACCESS_TOKEN = Setting(
    "accessToken",
    "Access token",
    help="Of a system user, from Events Manager or Business Settings; it does not expire.",
    required=True,
    secret=True,
    example="EAAB-example",
)


def authorize(request: Request, settings: Settings, token: str) -> Request:
    """As a header, so that the token shows in no address."""
    bearer = {"Authorization": f"Bearer {settings['accessToken']}"}
    return replace(request, headers={**request.headers, **bearer})
