"""The one place where parts are joined and supervised: a process for each role."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

import msgspec

from penstock.errors import AlreadyRunning, PenstockError
from penstock.settings import Settings

__all__ = ["DataFolderLock", "Engine", "is_running"]

log = logging.getLogger("penstock.engine")
_LOCK = "engine.lock"
_DRAIN_S = 30.0
_RESTART_DELAYS = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)
_STEADY_S = 5.0


class DataFolderLock:
    """Keeps a second engine, or a command that opens the warehouse itself, out of a folder."""

    def __init__(self, run_folder: Path) -> None:
        run_folder.mkdir(parents=True, exist_ok=True)
        self._file: IO[str] = (run_folder / _LOCK).open("a+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.seek(0)
            owner = self._file.read().strip() or "unknown"
            self._file.close()
            raise AlreadyRunning(
                f"the data folder {run_folder.parent} is in use by process {owner}; "
                "stop it, or use another folder with --data"
            ) from error
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        """Let others in."""
        self._file.close()


def is_running(settings: Settings) -> bool:
    """Whether an engine holds the data folder."""
    try:
        file = (settings.run_folder / _LOCK).open("r")
    except FileNotFoundError:
        return False
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


@dataclass
class _Role:
    name: str
    partition: int
    child: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    not_before: float = 0.0
    restarts: int = field(default=0)

    @property
    def label(self) -> str:
        return f"{self.name}-{self.partition}" if self.name == "collector" else self.name


class Engine:
    """Starts the roles, restarts one that dies, and drains them in the order events flow."""

    def __init__(
        self,
        settings: Settings,
        *,
        say: Callable[[str], None] = log.info,
        log: int | None = None,
    ) -> None:
        self._settings = settings
        self._say = say
        self._log = log
        self._lock = DataFolderLock(settings.run_folder)
        self._roles = [
            *(_Role("collector", number) for number in range(settings.workers)),
            _Role("process", 0),
            _Role("warehouse", 0),
        ]

    def start(self) -> None:
        """Start every role."""
        (self._settings.run_folder / "warehouse.sock").unlink(missing_ok=True)
        for role in reversed(self._roles):
            self._spawn(role)

    def watch(self) -> None:
        """Restart roles that ended; call this a few times a second."""
        now = time.monotonic()
        for role in self._roles:
            if role.child is None:
                if now >= role.not_before:
                    role.restarts += 1
                    self._spawn(role)
                continue
            status = role.child.poll()
            if status is None:
                continue
            if now - role.started > _STEADY_S:
                role.failures = 0
            delay = _RESTART_DELAYS[min(role.failures, len(_RESTART_DELAYS) - 1)]
            role.failures += 1
            role.not_before = now + delay
            role.child = None
            how = f"signal {-status}" if status < 0 else f"status {status}"
            self._say(f"{role.label} ended with {how}; starting it again in {delay:g} s")

    def stop(self) -> None:
        """Drain: collectors first, then what reads after them; kill what does not end."""
        for name in ("collector", "process", "warehouse"):
            children = [
                role.child for role in self._roles if role.name == name and role.child is not None
            ]
            for child in children:
                child.terminate()
            deadline = time.monotonic() + _DRAIN_S
            for child in children:
                try:
                    child.wait(max(deadline - time.monotonic(), 0.1))
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()
        self._lock.release()

    def pause(self, names: tuple[str, ...]) -> None:
        """Halt roles where they are, so that others can be measured alone."""
        self._signal(names, signal.SIGSTOP)

    def resume(self, names: tuple[str, ...]) -> None:
        """Let halted roles go on."""
        self._signal(names, signal.SIGCONT)

    def _signal(self, names: tuple[str, ...], number: int) -> None:
        for role in self._roles:
            if role.name in names and role.child is not None:
                role.child.send_signal(number)

    def processes(self) -> dict[str, int]:
        """Process id by role."""
        return {role.label: role.child.pid for role in self._roles if role.child is not None}

    def _spawn(self, role: _Role) -> None:
        settings = {
            name: str(value) if isinstance(value, Path) else value
            for name, value in asdict(self._settings).items()
        }
        settings = {
            name: value.total_seconds() if hasattr(value, "total_seconds") else value
            for name, value in settings.items()
        }
        command = [sys.executable, "-m", "penstock.roles", role.name, str(role.partition)]
        try:
            role.child = subprocess.Popen(
                [*command, msgspec.json.encode(settings).decode()],
                stdin=subprocess.PIPE,
                stderr=self._log,
            )
        except OSError as error:
            raise PenstockError(f"can't start {role.label}: {error}") from error
        role.started = time.monotonic()
