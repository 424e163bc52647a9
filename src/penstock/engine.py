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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import msgspec

from penstock.errors import AlreadyRunning, PenstockError
from penstock.settings import Settings

__all__ = ["DataFolderLock", "Engine", "is_running", "role_label"]

log = logging.getLogger("penstock.engine")
_LOCK = "engine.lock"
_DRAIN_S = 30.0
_RESTART_DELAYS = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)
_STEADY_S = 5.0
_TOLD_AFTER = 3
_LOCK_PATIENCE_S = 1.0
_LOCK_PAUSE_S = 0.02


class DataFolderLock:
    """Keeps a second engine, or a command that opens the warehouse itself, out of a folder."""

    def __init__(self, run_folder: Path) -> None:
        run_folder.mkdir(parents=True, exist_ok=True)
        self._file: IO[str] = (run_folder / _LOCK).open("a+")
        if not self._locked():
            self._file.seek(0)
            owner = self._file.read().strip() or "unknown"
            self._file.close()
            raise AlreadyRunning(
                f"the data folder {run_folder.parent} is in use by process {owner}; "
                "stop it, or use another folder with --data"
            )
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def _locked(self) -> bool:
        """Whether the lock was had, perhaps after ``is_running`` of another process let go."""
        deadline = time.monotonic() + _LOCK_PATIENCE_S
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() > deadline:
                    return False
                time.sleep(_LOCK_PAUSE_S)
            else:
                return True

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

    @property
    def label(self) -> str:
        return role_label(self.name, self.partition)


def role_label(name: str, partition: int) -> str:
    """What a role is called in messages and files."""
    return f"{name}-{partition}" if name == "collector" else name


class Engine:
    """Starts the roles, restarts one that dies, and drains them in the order events flow."""

    def __init__(
        self,
        settings: Settings,
        *,
        say: Callable[[str], None] = log.info,
        log_fd: int | None = None,
    ) -> None:
        self._settings = settings
        self._say = say
        self._log_fd = log_fd
        self._lock = DataFolderLock(settings.run_folder)
        self._roles = [
            *(_Role("collector", number) for number in range(settings.workers)),
            _Role("process", 0),
            _Role("warehouse", 0),
        ]

    def start(self) -> None:
        """Start every role. Raises PenstockError, with none left, when one can't be started."""
        self._settings.socket_file.unlink(missing_ok=True)
        try:
            for role in reversed(self._roles):
                self._settings.failure_file(role.label).unlink(missing_ok=True)
                self._spawn(role)
        except OSError as error:
            self.stop()
            raise PenstockError(f"can't start the engine: {error}") from error

    def watch(self) -> None:
        """Restart roles that ended; call this a few times a second."""
        for role in self._roles:
            now = time.monotonic()
            if role.child is None:
                if now >= role.not_before:
                    self._restart(role)
                continue
            status = role.child.poll()
            if now - role.started > _STEADY_S:
                self._steady(role)
            if status is not None:
                self._forget(role)
                how = f"signal {-status}" if status < 0 else f"status {status}"
                self._failed(role, f"ended with {how}")

    def _restart(self, role: _Role) -> None:
        """Start a role again; that it can't be forked just now is one more failure of it."""
        try:
            self._spawn(role)
        except OSError as error:
            self._failed(role, f"can't be started ({error})")

    def _failed(self, role: _Role, how: str) -> None:
        """Note a failure and when to try again; say so, but not for ever."""
        delay = _RESTART_DELAYS[min(role.failures, len(_RESTART_DELAYS) - 1)]
        role.failures += 1
        role.not_before = time.monotonic() + delay
        if role.failures < _TOLD_AFTER:
            self._say(f"{role.label} {how}; starting it again in {delay:g} s")
        elif role.failures == _TOLD_AFTER:
            self._say(
                f"{role.label} failed {role.failures} times in a row: {self._reason(role, how)}\n"
                f"{role.label} is tried again every {_RESTART_DELAYS[-1]:g} s, without more words"
            )

    def _reason(self, role: _Role, how: str) -> str:
        """The last error that the role itself told."""
        try:
            told = self._settings.failure_file(role.label).read_text(encoding="utf-8").strip()
        except OSError:
            told = ""
        return told or f"it {how} and left no message"

    def _steady(self, role: _Role) -> None:
        """A role that has run for a while has no failures behind it."""
        if role.failures >= _TOLD_AFTER:
            self._say(f"{role.label} runs again")
        if role.failures:
            role.failures = 0
            self._settings.failure_file(role.label).unlink(missing_ok=True)

    @staticmethod
    def _forget(role: _Role) -> None:
        if role.child is not None and role.child.stdin is not None:
            role.child.stdin.close()
        role.child = None

    def stop(self) -> None:
        """Drain: collectors first, then what reads after them; kill what does not end."""
        for name in ("collector", "process", "warehouse"):
            ending = [role for role in self._roles if role.name == name]
            children = [role.child for role in ending if role.child is not None]
            for child in children:
                child.send_signal(signal.SIGCONT)  # one that is halted would not end
                child.terminate()
            deadline = time.monotonic() + _DRAIN_S
            for child in children:
                try:
                    child.wait(max(deadline - time.monotonic(), 0.1))
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()
            for role in ending:
                self._forget(role)
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
        """Start the process of a role. Raises OSError when there can't be one just now."""
        settings = {
            name: str(value) if isinstance(value, Path) else value
            for name, value in asdict(self._settings).items()
        }
        settings = {
            name: value.total_seconds() if hasattr(value, "total_seconds") else value
            for name, value in settings.items()
        }
        command = [sys.executable, "-m", "penstock.roles", role.name, str(role.partition)]
        role.started = time.monotonic()
        role.child = subprocess.Popen(
            [*command, msgspec.json.encode(settings).decode()],
            stdin=subprocess.PIPE,
            stderr=self._log_fd,
        )
