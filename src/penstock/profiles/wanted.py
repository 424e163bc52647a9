"""Whether there is anything to resolve, asked so cheaply that it can be asked every second."""

from __future__ import annotations

from pathlib import Path

__all__ = ["has_events"]


def has_events(journal_folder: Path) -> bool:
    """Whether there ever was an event."""
    return any((journal_folder / "events").glob("*/*.sqlite"))
