"""The process of a function, seen from Penstock: started, given events, and killed when it must."""

from __future__ import annotations

import json
import mmap
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from penstock.destinations.functions import frames, sandbox
from penstock.errors import PenstockError

__all__ = ["Carry", "Child", "Ended", "NotLoaded"]

_RUNNER = Path(__file__).with_name("runner.py")
_API = Path(__file__).parents[2] / "functions.py"
_START_S = 30.0
"""A machine may be busy; the user's own module level counts too."""
_LARGEST_FRAME = 64 * 1024 * 1024
_READ = 256 * 1024
_decode = msgspec.msgpack.Decoder(frames.Told).decode
Carry = Callable[[frames.Fetch, float], frames.Fetched]
"""Sends a request for a function, in so many seconds at most."""


class NotLoaded(PenstockError):
    """The user's code can't be used; ``line`` of its file, or 0."""

    def __init__(self, what: str, line: int) -> None:
        super().__init__(what)
        self.line = line


class Ended(PenstockError):
    """The process is no more. ``at`` is the event that it was at, of those it had not answered."""

    def __init__(self, what: str, at: int, *, late: bool = False) -> None:
        super().__init__(what)
        self.at = at
        self.late = late


class Child:
    """One process. Everything here blocks; it is used by one thread, which has to live on, since
    the kernel ends the process with the thread that started it.
    """

    def __init__(self, *, timeout: float, memory: int, carry: Carry, files: str = "") -> None:
        """Start it. ``files`` is sandbox.LANDLOCK or CLOSED, else what the machine has.

        Raises OSError when it can't be started, or not be confined on this machine.
        """
        files = files or sandbox.available()
        self._timeout = timeout
        self._memory = memory
        self._carry = carry
        self._seen = 0
        self._told = 0
        self._buffer = bytearray()
        shared = os.memfd_create("progress")
        try:
            os.ftruncate(shared, mmap.PAGESIZE)
            self._progress = mmap.mmap(shared, mmap.PAGESIZE)
            about = {
                "libraries": str(Path(msgspec.__file__).parents[1]), "api": str(_API),
                "progress": shared, "memory": memory, "files": files, "parent": os.getpid(),
            }  # fmt: skip
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-B", str(_RUNNER), json.dumps(about)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                env={}, cwd="/", pass_fds=(shared,), bufsize=0,
            )  # fmt: skip
        finally:
            os.close(shared)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in = self._process.stdin.fileno()
        self._out = self._process.stdout.fileno()
        os.set_blocking(self._in, False)
        os.set_blocking(self._out, False)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def load(self, file: str, source: str, settings: dict[str, Any]) -> list[str]:
        """Give it the user's code; returns the calls it handles. Raises NotLoaded and Ended."""
        deadline = time.monotonic() + max(_START_S, self._timeout)
        self._send(frames.Load(file, source, settings), deadline)
        try:
            while isinstance(told := self._next(deadline), frames.Fetch):
                self._fetch(told, deadline)
        except Ended as error:
            raise NotLoaded(f"its process ended while the file was loaded: {error}", 0) from error
        if not isinstance(told, frames.Loaded):
            raise self._kill("it answered what it was not asked", 0)
        if told.error:
            raise NotLoaded(told.error, told.line)
        return told.handlers

    def run(self, events: Sequence[bytes], take: Callable[[frames.Answer], None]) -> None:
        """Give it events, as JSON, and ``take`` each answer, in order.

        Raises Ended when it had to be killed or went by itself; what was not answered by then may
        be given to another process, except the event that it was at.
        """
        start = self._told
        self._told += len(events)
        self._send(frames.Run(list(events)), time.monotonic() + _START_S)
        answered = 0
        self._seen, since = start, time.monotonic()
        while answered < len(events):
            told = self._next(since + self._timeout, within=(start, answered, len(events)))
            since = time.monotonic()
            if isinstance(told, frames.Fetch):
                self._fetch(told, since + self._timeout)
                continue
            if not isinstance(told, frames.Answers) or len(told.answers) > len(events) - answered:
                raise self._kill("it answered what it was not asked", answered)
            for answer in told.answers:
                take(answer)
            answered += len(told.answers)
            if told.answers and told.answers[-1].out_of_memory:
                self.close()
                if answered < len(events):
                    raise Ended("", answered)
                return

    def _fetch(self, request: frames.Fetch, deadline: float) -> None:
        """The time it takes counts, so that a function can't wait for ever."""
        left = max(deadline - time.monotonic(), 0.01)
        self._send(self._carry(request, left), time.monotonic() + _START_S)

    def _send(self, message: frames.Order, deadline: float) -> None:
        left = memoryview(frames.frame(message))
        while left:
            if not self._wait(self._in, select.POLLOUT, deadline):
                raise self._kill("it does not read any more", 0)
            try:
                left = left[os.write(self._in, left) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise self._kill("its process ended", 0) from error

    def _next(self, deadline: float, within: tuple[int, int, int] | None = None) -> frames.Told:
        """The next message. With ``within`` (events before, answered, given), the time begins anew
        with each event.
        """
        while True:
            found = self._message(within)
            if found is not None:
                return found
            patience = min(deadline, time.monotonic() + max(self._timeout / 4, 0.01))
            if self._wait(self._out, select.POLLIN, patience):
                self._read(within)
            elif self._moved():
                deadline = time.monotonic() + self._timeout
            elif time.monotonic() >= deadline:
                what = f"it was stopped: one event took longer than {self._timeout:g} s"
                raise self._kill(what, self._culprit(within), late=True)

    def _message(self, within: tuple[int, int, int] | None) -> frames.Told | None:
        buffer = self._buffer
        if len(buffer) < 4:
            return None
        size = frames.length(bytes(buffer[:4]))
        if size > _LARGEST_FRAME:
            raise self._kill("it answered more than it may", self._culprit(within))
        if len(buffer) < 4 + size:
            return None
        body = bytes(buffer[4 : 4 + size])
        del buffer[: 4 + size]
        try:
            told: frames.Told = _decode(body)
        except msgspec.MsgspecError as error:
            raise self._kill("it answered nonsense", self._culprit(within)) from error
        return told

    def _read(self, within: tuple[int, int, int] | None) -> None:
        try:
            part = os.read(self._out, _READ)
        except BlockingIOError:
            return
        if not part:
            raise self._kill("", self._culprit(within))
        self._buffer += part

    def _wait(self, number: int, what: int, deadline: float) -> bool:
        poll = select.poll()
        poll.register(number, what)
        return bool(poll.poll(max(deadline - time.monotonic(), 0.0) * 1000))

    def _at(self) -> int:
        return int.from_bytes(self._progress[:8], sys.byteorder)

    def _moved(self) -> bool:
        """Whether it is at another event than when this was asked last."""
        before, self._seen = self._seen, self._at()
        return self._seen != before

    def _culprit(self, within: tuple[int, int, int] | None) -> int:
        """The event that it is at, as it says; the first one unanswered when that can't be."""
        if within is None:
            return 0
        start, answered, given = within
        at = self._at() - start - 1
        return at if answered <= at < given else answered

    def _kill(self, what: str, at: int, *, late: bool = False) -> Ended:
        """End it; gives what to raise. Without words, how it ended by itself is the reason."""
        if not what:
            try:
                self._process.wait(1.0)
            except subprocess.TimeoutExpired:
                what = "it closed its pipes"
        self.close()
        code = self._process.returncode
        if not what:
            what = f"its process ended with {f'signal {-code}' if code < 0 else f'status {code}'}"
        return Ended(what, at, late=late)

    def close(self) -> None:
        """End it at once; harmless when it ended already."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
