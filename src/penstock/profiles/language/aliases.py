"""Names under which different tools send the same event."""

from __future__ import annotations

__all__ = ["ALIASES", "names_of"]

ALIASES: tuple[tuple[str, ...], ...] = (
    ("Push Notification Tapped", "Push Notification Opened", "Push Opened"),
    ("Push Notification Received", "Push Delivered"),
    ("Push Notification Bounced", "Push Bounced"),
    ("Deep Link Opened", "Deep Link Clicked"),
    ("Email Link Clicked", "Email Clicked"),
    ("Email Marked as Spam", "Email Marked As Spam", "Email Complained"),
    ("Unsubscribed", "Email Unsubscribed"),
)
"""Each group means one thing; a condition on one of its names holds for all."""
_GROUPS = {name: group for group in ALIASES for name in group}


def names_of(name: str) -> tuple[str, ...]:
    """All names of an event, that one included, in a fixed order."""
    return _GROUPS.get(name, (name,))
