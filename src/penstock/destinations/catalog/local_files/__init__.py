"""Local files: events as files in a folder of the machine that delivers."""

from __future__ import annotations

from penstock.destinations.catalog.common.event_files import FIELDS, SETTINGS, batch_of, writes
from penstock.destinations.contract import Action, Call, Destination, Preset, Setting, Steps

__all__ = ["DESTINATION"]

_ALL = " or ".join(
    f'type = "{call}"' for call in ("track", "identify", "page", "screen", "group", "alias")
)


def _write(call: Call) -> Steps:
    return writes(call, f"file:{call.settings['folder']}")


DESTINATION = Destination(
    slug="local-files",
    name="Local files",
    help="Writes batches of events as files, JSON lines or Parquet, whole and durable before they "
    "have their name. The name follows from the ids of the events, so a repeated batch replaces "
    "its file. Should the batches fall otherwise after a crash, an event can be in two files, "
    "with the same messageId.",
    settings=(
        Setting(
            "folder",
            "Folder",
            help="Below the folder that `exports_folder` names: `exports` in the data folder, "
            "unless it is set.",
            default="events",
            example="events",
        ),
        *SETTINGS,
    ),
    actions=(
        Action(
            "write",
            "Write",
            _write,
            help="Adds rows to the next file.",
            trigger=_ALL,
            fields=FIELDS,
            batch=batch_of(2.0),
            internal=("received_at",),
        ),
    ),
    presets=(Preset("Every event", "write"),),
    limits=("A file holds at most 10,000 events or 16 MB, and is written after two seconds.",),
    concurrency=2,
    timeout=60.0,
)
