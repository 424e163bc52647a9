"""Paths of the tracking API."""

from __future__ import annotations

from penstock.events.model import CALLS

__all__ = ["PIXEL_CALLS", "POST_CALLS", "settings_key", "split"]

POST_CALLS: dict[str, str] = {
    **{f"/v1/{call}": call for call in CALLS},
    **{f"/v1/{call[0]}": call for call in CALLS},
    "/v1/batch": "batch",
    "/v1/b": "batch",
    "/v1/import": "batch",
}
"""Call by path: full names, first letters, ``/v1/batch``, ``/v1/b`` and ``/v1/import``."""

PIXEL_CALLS: dict[str, str] = {f"/v1/pixel/{call}": call for call in CALLS}
"""Call by pixel path."""


def split(path: str) -> str:
    """The path without a trailing slash."""
    return path.rstrip("/") if len(path) > 1 else path


def settings_key(path: str) -> str | None:
    """The write key in ``/v1/projects/{writeKey}/settings``, or None for another path."""
    parts = path.split("/")
    if len(parts) == 5 and parts[:3] == ["", "v1", "projects"] and parts[4] == "settings":
        return parts[3]
    return None
