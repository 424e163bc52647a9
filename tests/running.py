"""A Penstock started as a person starts it: `penstock apply`, `penstock up`, `penstock sql`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

Row = dict[str, object]

START_LIMIT = timedelta(minutes=3)
STOP_LIMIT = timedelta(minutes=2)
ROWS_LIMIT = timedelta(minutes=3)
COMMAND_LIMIT = timedelta(minutes=3)
POLL_EVERY = timedelta(milliseconds=100)
LOG_TAIL = 4000


class PenstockDiedError(AssertionError):
    """`penstock up` ended, or did not become ready in time; the text holds the end of its log."""


class CommandFailedError(AssertionError):
    """A `penstock` command ended with an exit code other than 0; the text holds what it said."""


class NeverTrueError(AssertionError):
    """A query did not give the expected rows in time; the text holds what it gave last."""


class RunningPenstock:
    """One `penstock up` with its own data folder, ports and log.

    It can be started again after `stop` or `kill`: the data folder and the ports stay.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        console_port: int | None = None,
        settings: dict[str, str] | None = None,
    ) -> None:
        """Take a folder for data and log; `settings` are PENSTOCK_* environment variables."""
        free = free_ports(2)
        self.data = folder / "data"
        self.log = folder / "penstock.log"
        self.port = port if port is not None else free[0]
        self.console_port = console_port if console_port is not None else free[1]
        self._folder = folder
        self._environment = {**_clean_environment(), **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._log_handle: IO[bytes] | None = None

    @property
    def url(self) -> str:
        """The collector's origin, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def console_url(self) -> str:
        """The origin of the console and the management API."""
        return f"http://127.0.0.1:{self.console_port}"

    @property
    def is_running(self) -> bool:
        """Whether the process of the last `start` is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Process id of `penstock up`."""
        return self._running_process().pid

    def await_end(self, timeout: timedelta = STOP_LIMIT) -> None:
        """Wait until `penstock up` itself has ended, by somebody else's hand."""
        if self._process is not None:
            self._process.wait(timeout.total_seconds())

    def apply(self, workspace: str) -> str:
        """Apply a workspace file, given as YAML text; give what the command printed."""
        file = self._folder / "penstock.yaml"
        file.write_text(workspace, encoding="utf-8")
        return self.command("apply", str(file))

    def start(self, timeout: timedelta = START_LIMIT, *, until: str = "/ready") -> None:
        """Run `penstock up` and return once `/ready`, or another path, answers 200."""
        if self.is_running:
            raise RuntimeError("this Penstock is running already")
        self._close_log()
        self._log_handle = self.log.open("ab")
        self._process = subprocess.Popen(
            self._command_line(
                "up", "--port", str(self.port), "--console-port", str(self.console_port)
            ),
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log_handle,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._wait_until_ready(self._process, timeout, until)

    def stop(self, timeout: timedelta = STOP_LIMIT) -> int:
        """Send SIGTERM, wait until it has drained and ended, and give its exit code."""
        process = self._running_process()
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(timeout.total_seconds())
        except subprocess.TimeoutExpired:
            self._end_group(process)
            raise PenstockDiedError(
                f"penstock up did not end within {timeout} of SIGTERM\n{self.log_tail()}"
            ) from None
        self._end_group(process)
        return code

    def kill(self) -> None:
        """Send SIGKILL to the process and all its children at once, as a power cut would."""
        self._end_group(self._running_process())

    def close(self) -> None:
        """End it if it still runs, whatever state it is in; for fixtures."""
        if self._process is not None:
            self._end_group(self._process)
        self._close_log()

    def command(self, *arguments: str, timeout: timedelta = COMMAND_LIMIT) -> str:
        """Run `penstock ARGUMENTS --data DIR` and give its standard output."""
        done = subprocess.run(
            self._command_line(*arguments),
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout.total_seconds(),
            check=False,
        )
        if done.returncode != 0:
            raise CommandFailedError(
                f"penstock {arguments[0]} ended with {done.returncode}: "
                f"{done.stderr.strip() or done.stdout.strip()}"
            )
        return done.stdout

    def sql(self, query: str) -> list[Row]:
        """Run one query with `penstock sql` and give its rows."""
        rows: list[Row] = json.loads(self.command("sql", query, "--format", "json"))
        return rows

    def wait_for(
        self,
        query: str,
        predicate: Callable[[list[Row]], bool] = bool,
        timeout: timedelta = ROWS_LIMIT,
    ) -> list[Row]:
        """Run a query until `predicate` holds for its rows, and give them.

        A query that fails, because its table is not there yet, counts as not yet true.
        """
        deadline = time.monotonic() + timeout.total_seconds()
        while True:
            last: object
            try:
                rows = self.sql(query)
            except CommandFailedError as failed:
                last = failed
            else:
                if predicate(rows):
                    return rows
                last = rows
            if time.monotonic() > deadline:
                raise NeverTrueError(f"{query}\nnot as expected after {timeout}; last: {last}")
            time.sleep(POLL_EVERY.total_seconds())

    def wait_for_log(self, text: str, timeout: timedelta = START_LIMIT) -> None:
        """Wait until `penstock up` has printed a text."""
        deadline = time.monotonic() + timeout.total_seconds()
        while text not in self.log.read_text(encoding="utf-8", errors="replace"):
            if time.monotonic() > deadline:
                raise NeverTrueError(f"not printed after {timeout}: {text}\n{self.log_tail()}")
            time.sleep(POLL_EVERY.total_seconds())

    def wait_for_api(self, timeout: timedelta = START_LIMIT) -> str:
        """Wait until the management API listens; give the token of commands on this machine."""
        file = self.data / "run" / "cli.token"
        deadline = time.monotonic() + timeout.total_seconds()
        while not file.exists():
            if time.monotonic() > deadline:
                raise NeverTrueError(f"no API after {timeout}\n{self.log_tail()}")
            time.sleep(POLL_EVERY.total_seconds())
        return file.read_text(encoding="ascii").strip()

    def greeting(self) -> str:
        """What `penstock up` prints when all is up, and what it printed after that."""
        self.wait_for_log("Ctrl-C stops.")
        printed = self.log.read_text(encoding="utf-8")
        return printed[printed.index("Penstock is up") :]

    def log_tail(self) -> str:
        """Give the end of what `penstock up` printed."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return f"--- end of {self.log} ---\n{text[-LOG_TAIL:]}"

    def _command_line(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "penstock", *arguments, "--data", str(self.data)]

    def _wait_until_ready(
        self, process: subprocess.Popen[bytes], timeout: timedelta, path: str
    ) -> None:
        deadline = time.monotonic() + timeout.total_seconds()
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise PenstockDiedError(
                    f"penstock up ended with {process.returncode} before it was ready\n"
                    f"{self.log_tail()}"
                )
            if _answers_200(f"{self.url}{path}"):
                return
            time.sleep(POLL_EVERY.total_seconds())
        self._end_group(process)
        raise PenstockDiedError(f"{self.url}{path} was not 200 within {timeout}\n{self.log_tail()}")

    def _running_process(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("this Penstock was never started")
        if self._process.poll() is not None:
            raise PenstockDiedError(
                f"penstock up had ended with {self._process.returncode}\n{self.log_tail()}"
            )
        return self._process

    def _end_group(self, process: subprocess.Popen[bytes]) -> None:
        """SIGKILL what is left of the session that `start` opened for this process."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def _close_log(self) -> None:
        if self._log_handle is not None:
            self._log_handle.close()
            self._log_handle = None


@contextmanager
def running_penstock(folder: Path, workspace: str) -> Iterator[RunningPenstock]:
    """Apply a workspace, start a Penstock on it, and end it cleanly afterwards."""
    penstock = RunningPenstock(folder)
    penstock.apply(workspace)
    try:
        penstock.start()
        yield penstock
        code = penstock.stop()
        if code != 0:
            raise PenstockDiedError(f"penstock up ended with {code}\n{penstock.log_tail()}")
    finally:
        penstock.close()


def free_ports(count: int) -> list[int]:
    """Give TCP ports of 127.0.0.1 that are free now, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def _clean_environment() -> dict[str, str]:
    """The environment without the settings of the person who runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
    return {**kept, "PYTHONUNBUFFERED": "1"}


def _answers_200(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=10) as response:
            return bool(response.status == 200)
    except (OSError, urllib.error.URLError):
        return False
