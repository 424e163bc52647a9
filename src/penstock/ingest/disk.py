"""How much room there is on the disk of the data folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from penstock import logs
from penstock.settings import Settings

__all__ = ["Disk", "Room", "room_on_disk"]

log = logs.get("penstock.ingest")
Room = Literal["enough", "low", "none"]
"""``low`` below ``warn_free_disk``; ``none`` below ``min_free_disk``: the collector answers 503."""


def room_on_disk(settings: Settings, free: int) -> Room:
    """What so many free bytes mean."""
    if free < settings.min_free_disk:
        return "none"
    return "low" if free < settings.warn_free_disk else "enough"


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


class Disk:
    """Follows the room on the disk, and logs when it changes; ``look`` is called every second."""

    def __init__(self, settings: Settings, free: Callable[[Path], int] = _free) -> None:
        self._settings = settings
        self._free = free
        self.room: Room = "enough"
        self.look()

    @property
    def has_room(self) -> bool:
        """Whether events may be written."""
        return self.room != "none"

    def look(self) -> None:
        """Measure."""
        free = self._free(self._settings.data)
        room = room_on_disk(self._settings, free)
        if room != self.room:
            log.warning(_TOLD[room], folder=self._settings.data, free_mb=free // 1_000_000)
        self.room = room


_TOLD: dict[Room, str] = {
    "enough": "the disk has room again",
    "low": "the disk is filling up; make room, or shorten received_retention and events_retention",
    "none": "the disk is nearly full: events are answered with 503 until there is room",
}
