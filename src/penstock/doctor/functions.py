"""Check of functions: whether they can run here, and which of them do not."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from penstock.destinations.functions import sandbox
from penstock.destinations.functions.function import BROKEN, HELD
from penstock.destinations.functions.states import read_states
from penstock.doctor.findings import NOTE, PROBLEM, Examined, Finding
from penstock.doctor.reading import rows

__all__ = ["check_functions"]

_TRY = "`penstock functions test {}` shows what it does; save its file mended, it is loaded at once"


def check_functions(place: Examined) -> Iterator[Finding]:
    """Functions that can't be confined, whose file is missing, or that do not work."""
    files = _files(place)
    if not files:
        return
    yield from _confinement()
    for slug, file in files:
        path = place.settings.functions_root / file
        if not path.is_file():
            what = f"the file of function {slug} is missing: {path}"
            yield Finding(PROBLEM, "functions", what, f"put it there, or delete function {slug}")
    for state in read_states(place.settings.run_folder) if place.running else ():
        if state.state in (BROKEN, HELD) or state.problem:
            what = f"function {state.function} at {state.place} is {state.state}: {state.problem}"
            severity = PROBLEM if state.state in (BROKEN, HELD) else NOTE
            yield Finding(severity, "functions", what, _TRY.format(state.function))


def _confinement() -> Iterator[Finding]:
    try:
        files = sandbox.available()
    except OSError as error:
        do = "run Penstock on Linux (x86_64 or aarch64, with seccomp), or disable the functions"
        yield Finding(PROBLEM, "functions", str(error), do)
        return
    if files == sandbox.CLOSED:
        what = "the kernel has no Landlock: functions can import only what the guide lists"
        yield Finding(NOTE, "functions", what, "enable Landlock (Linux 5.13 or newer) for the rest")


def _files(place: Examined) -> list[tuple[str, str]]:
    """Slug and file of every enabled function."""
    file = place.settings.state_file
    if not file.is_file():
        return []
    try:
        return rows(file, "SELECT slug, file FROM functions WHERE enabled ORDER BY slug")
    except sqlite3.Error:
        return []
