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
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

import msgspec

from penstock.destinations.delivery.wanted import is_wanted
from penstock.errors import HOPELESS, AlreadyRunning, PenstockError
from penstock.metrics import SnapshotFile, forget_snapshots
from penstock.profiles.wanted import has_events
from penstock.settings import Settings, load_settings, role_label

__all__ = [
    "DataFolderLock",
    "Engine",
    "holder",
    "is_running",
    "running_settings",
    "settings_as_json",
]

log = logging.getLogger("penstock.engine")
_LOCK = "engine.lock"
_COMMAND = " command"
_DRAIN_S = 30.0
_DRAIN_ORDER = (
    "snapshot", "api", "collector", "process", "profiles", "deliver", "monitor", "warehouse",
)  # fmt: skip
_RESTART_DELAYS = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)
_STEADY_S = 5.0
_TOLD_AFTER = 3
_DEMAND_S = 0.5
"""How often it is asked whether a role on demand is wanted."""
_LOCK_PATIENCE_S = 1.0
_LOCK_PAUSE_S = 0.02


class DataFolderLock:
    """Keeps a second engine, or a command that opens the warehouse itself, out of a folder."""

    def __init__(self, run_folder: Path, *, engine: bool = True) -> None:
        """``engine``: whether what holds it answers for the folder, as a command does not."""
        run_folder.mkdir(parents=True, exist_ok=True)
        self._file: IO[str] = (run_folder / _LOCK).open("a+")
        if not self._locked():
            owner, is_command = _owner(self._file)
            self._file.close()
            hint = "it is a command: try again when it has ended" if is_command else "stop it"
            raise AlreadyRunning(
                f"the data folder {run_folder.parent} is in use by process {owner}; "
                f"{hint}, or use another folder with --data"
            )
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}{'' if engine else _COMMAND}")
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
    """Whether an engine holds the data folder; a command that has it a moment does not count."""
    return holder(settings.run_folder) == "engine"


def holder(run_folder: Path) -> str:
    """Who holds a data folder: engine, command or nobody."""
    try:
        file = (run_folder / _LOCK).open("r")
    except FileNotFoundError:
        return "nobody"
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return "command" if _owner(file)[1] else "engine"
    return "nobody"


def _owner(file: IO[str]) -> tuple[str, bool]:
    """The process that holds the lock, and whether it is a command."""
    file.seek(0)
    text = file.read().strip()
    return text.removesuffix(_COMMAND) or "unknown", text.endswith(_COMMAND)


def running_settings(settings: Settings) -> Settings | None:
    """The settings of the engine that runs on the same folder; None when none runs."""
    if not is_running(settings):
        return None
    try:
        stored = msgspec.json.decode(settings.engine_file.read_bytes())
    except (OSError, msgspec.DecodeError):
        return None  # it starts, or ends, just now
    return replace(load_settings(stored, {}, Path(os.devnull)), data=settings.data)


def settings_as_json(settings: Settings) -> str:
    """Settings as ``load_settings`` takes them for flags."""
    return msgspec.json.encode(
        {name: _plain(value) for name, value in asdict(settings).items()}
    ).decode()


def _plain(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value.total_seconds()
    return str(value) if isinstance(value, Path) else value


@dataclass
class _Role:
    name: str
    partition: int
    child: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    not_before: float = 0.0
    on_demand: bool = False
    """Whether it runs only while there is something for it to do, and ends by itself."""

    @property
    def label(self) -> str:
        return role_label(self.name, self.partition)


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
            _Role("monitor", 0),
            _Role("warehouse", 0),
            _Role("deliver", 0, on_demand=True),
            *([_Role("profiles", 0, on_demand=True)] if settings.profiles else []),
            *([_Role("api", 0)] if settings.console_port else []),
            *([_Role("snapshot", 0)] if settings.snapshot_every else []),
        ]

    def start(self) -> None:
        """Start every role. Raises PenstockError, with none left, when one can't be started."""
        self._settings.socket_file.unlink(missing_ok=True)
        self._settings.token_file.unlink(missing_ok=True)
        forget_snapshots(self._settings.run_folder)
        try:
            self._tell_settings()
            for role in reversed(self._roles):
                self._settings.failure_file(role.label).unlink(missing_ok=True)
                if self._is_wanted(role):
                    self._spawn(role)
        except OSError as error:
            self.stop()
            raise PenstockError(f"can't start the engine: {error}") from error

    def _tell_settings(self) -> None:
        """Leave the settings for commands, which may have been called with others."""
        file = self._settings.engine_file
        file.unlink(missing_ok=True)
        file.touch(0o600)
        file.write_text(settings_as_json(self._settings), encoding="utf-8")

    def watch(self) -> None:
        """Restart roles that ended; call this a few times a second.

        Raises PenstockError when one said that it can never run on this data folder.
        """
        for role in self._roles:
            now = time.monotonic()
            if role.child is None:
                if now >= role.not_before:
                    role.not_before = now + _DEMAND_S
                    if self._is_wanted(role):
                        self._restart(role)
                continue
            status = role.child.poll()
            if now - role.started > _STEADY_S:
                self._steady(role)
            if status is not None:
                self._forget(role)
                if role.on_demand and not status:
                    SnapshotFile(self._settings.run_folder, role.label).remove()
                    continue
                how = f"signal {-status}" if status < 0 else f"status {status}"
                if status == HOPELESS:
                    raise PenstockError(f"{role.label}: {self._reason(role, 'ended')}")
                self._failed(role, f"ended with {how}")

    def _is_wanted(self, role: _Role) -> bool:
        settings = self._settings
        if role.name == "profiles":
            return has_events(settings.journal_folder)
        return not role.on_demand or is_wanted(settings.state_file, settings.deliveries_file)

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
        for name in _DRAIN_ORDER:
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
        self._settings.socket_file.unlink(missing_ok=True)
        self._settings.engine_file.unlink(missing_ok=True)
        forget_snapshots(self._settings.run_folder)
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
        command = [sys.executable, "-m", "penstock.roles", role.name, str(role.partition)]
        role.started = time.monotonic()
        role.child = subprocess.Popen(
            [*command, settings_as_json(self._settings)],
            stdin=subprocess.PIPE,
            stderr=self._log_fd,
        )
