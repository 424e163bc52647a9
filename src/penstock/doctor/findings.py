"""What doctor finds, and what it looks at."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from penstock.settings import Settings

__all__ = ["NOTE", "PROBLEM", "Examined", "Finding", "Machine", "this_machine"]

PROBLEM = "problem"
"""Something does not work, or events are at risk."""
NOTE = "note"
"""Worth knowing; nothing has to be done at once."""


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be."""

    severity: str
    """``problem`` or ``note``."""
    check: str
    """Which check found it, in a word."""
    what: str
    """What is wrong."""
    do: str
    """What to do, with a command where there is one."""


@dataclass(frozen=True)
class Machine:
    """What doctor knows of the machine."""

    now_us: int
    """The clock, microseconds since 1970 UTC."""
    python: tuple[int, int]
    duckdb: str
    """Version, or empty when it is not installed."""
    open_files: int
    """Most files that a process may have open."""
    memory_bytes: int
    """What the machine, or the container, has."""
    environment: Mapping[str, str] = field(default_factory=dict)
    settings_file: Path = Path("penstock.toml")


@dataclass(frozen=True)
class Examined:
    """A data folder, the settings that count for it, and the machine it is on."""

    settings: Settings
    """Those of the running engine, where one runs."""
    holder: str
    """engine, command or nobody."""
    machine: Machine

    @property
    def running(self) -> bool:
        """Whether an engine runs on the folder."""
        return self.holder == "engine"


def this_machine() -> Machine:
    """The machine and environment of this process."""
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Machine(
        now_us=time.time_ns() // 1000,
        python=sys.version_info[:2],
        duckdb=_installed("duckdb"),
        open_files=most_files if most_files >= 0 else 1 << 30,
        memory_bytes=_memory_bytes(),
        environment=dict(os.environ),
    )


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _memory_bytes() -> int:
    """Memory of the machine, or of the control group when that is less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            limit = int(Path(file).read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue
        return min(total, limit)
    return total
