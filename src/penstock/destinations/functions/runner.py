"""The process of a function: ``python -I -S runner.py ABOUT``; runs the code of a user, confined.

It does not import Penstock. ``ABOUT`` (JSON) says where the few modules lie that it needs, which
are loaded by their path; what it must keep to itself comes over the pipe. The number of the event
that it is at stands in shared memory, so that one that never ends can be named.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import json
import mmap
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, NoReturn

__all__ = ["main"]

_FLUSH_S = 0.002
_FLUSH_EVENTS = 500
_MOST_EVENTS = 100
_MOST_PRINTED = 2_000
_MOST_BYTES = 1024 * 1024
"""Of the events that are made of one."""
_CALLS = ("track", "identify", "page", "screen", "group", "alias")


def _module(name: str, file: Path | str) -> Any:
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


class _Printed:
    """What the code prints, up to a limit."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._room = _MOST_PRINTED

    def write(self, text: str) -> int:
        if self._room > 0 and text:
            self._parts.append(text[: self._room])
            self._room -= len(text)
        return len(text)

    def flush(self) -> None:
        """There is nothing to write through to."""

    def isatty(self) -> bool:
        return False

    def take(self) -> str:
        if not self._parts:
            return ""
        text = "".join(self._parts)
        self._parts.clear()
        self._room = _MOST_PRINTED
        return text


class _Pipes:
    """Frames in and out, on numbers that print and input do not use."""

    def __init__(self, frames: Any, decode: Callable[[bytes], Any]) -> None:
        self._frames = frames
        self._decode = decode
        self._in, self._out = os.dup(0), os.dup(1)
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nothing, number)
        os.close(nothing)

    def get(self) -> Any:
        return self._decode(self._exactly(self._frames.length(self._exactly(4))))

    def _exactly(self, size: int) -> bytes:
        found = bytearray()
        while len(found) < size:
            part = os.read(self._in, size - len(found))
            if not part:
                os._exit(0)
            found += part
        return bytes(found)

    def put(self, message: Any) -> None:
        left = memoryview(self._frames.frame(message))
        while left:
            left = left[os.write(self._out, left) :]


class _Runner:
    """Loads the code of a user and gives it events."""

    def __init__(self, pipes: _Pipes, frames: Any, about: Mapping[str, Any], api: Any) -> None:
        import msgspec

        self._pipes = pipes
        self._frames = frames
        self._api = api
        self._encode = msgspec.json.Encoder(enc_hook=_plain).encode
        self._decode = msgspec.json.Decoder().decode
        self._undecodable = (msgspec.DecodeError, UnicodeDecodeError)
        self._shared = mmap.mmap(about["progress"], mmap.PAGESIZE)
        self._at = ctypes.c_uint64.from_buffer(self._shared)
        self._printed = _Printed()
        self._file = ""
        self._settings: Mapping[str, Any] = {}
        self._handlers: dict[str, Callable[[Any, Any], Any]] = {}
        api._carrier.append(self._fetch)

    def serve(self) -> NoReturn:
        sys.stdout = sys.stderr = self._printed
        while True:
            order = self._pipes.get()
            if isinstance(order, self._frames.Load):
                self._pipes.put(self._load(order))
            else:
                self._run(order.events)

    def _load(self, order: Any) -> Any:
        self._file = order.file
        self._settings = order.settings
        module = ModuleType("function")
        module.__file__ = order.file
        sys.modules["function"] = module
        try:
            exec(compile(order.source, order.file, "exec"), module.__dict__)
        except SyntaxError as error:
            what = f"{type(error).__name__}: {error.msg}"
            return self._frames.Loaded([], what, error.lineno or 0)
        except BaseException as error:  # noqa: BLE001 - code of a user may raise anything
            return self._frames.Loaded([], _told(error), self._line(error.__traceback__))
        fallback = getattr(module, "on_event", None)
        for call in _CALLS:
            handler = getattr(module, f"on_{call}", fallback)
            if callable(handler):
                self._handlers[call] = handler
        if not self._handlers:
            what = "it has no handler: define on_event, or on_track, on_identify ..."
            return self._frames.Loaded([], what)
        return self._frames.Loaded(sorted(self._handlers))

    def _run(self, events: list[bytes]) -> None:
        answers: list[Any] = []
        flushed = time.monotonic()
        for raw in events:
            self._at.value += 1
            answers.append(self._answer(raw))
            now = time.monotonic()
            full = now - flushed > _FLUSH_S or len(answers) >= _FLUSH_EVENTS
            if full or answers[-1].out_of_memory:
                self._pipes.put(self._frames.Answers(answers))
                if answers[-1].out_of_memory:
                    os._exit(0)
                answers = []
                flushed = now
        if answers:
            self._pipes.put(self._frames.Answers(answers))

    def _answer(self, raw: bytes) -> Any:
        frames = self._frames
        try:
            answer = self._handled(raw)
        except self._api.Retry as error:
            answer = frames.Answer(frames.RETRY, [], str(error))
        except self._api.Reject as error:
            answer = frames.Answer(frames.REJECTED, [], str(error))
        except MemoryError as error:
            line = self._line(error.__traceback__)
            answer = frames.Answer(frames.FAILED, [], "MemoryError", line, True)
        except BaseException as error:  # noqa: BLE001 - code of a user may raise anything
            line = self._line(error.__traceback__)
            answer = frames.Answer(frames.FAILED, [], _told(error), line)
        answer.printed = self._printed.take()
        return answer

    def _handled(self, raw: bytes) -> Any:
        try:
            event = self._decode(raw)
        except self._undecodable:
            event = json.loads(raw.decode("utf-8", "replace"))
        handler = self._handlers.get(event.get("type"))
        if handler is None:
            return self._frames.Answer(self._frames.LEFT)
        made = handler(event, self._settings)
        if made is None:
            return self._frames.Answer(self._frames.PASSED)
        events = made if isinstance(made, list) else [made]
        if not all(isinstance(one, dict) for one in events):
            kind = type(next(one for one in events if not isinstance(one, dict))).__name__
            raise TypeError(f"it returned {kind}; return the event, None, or a list of events")
        if len(events) > _MOST_EVENTS:
            raise ValueError(f"it made {len(events)} events of one; the most is {_MOST_EVENTS}")
        encoded = [self._encode(one) for one in events]
        if sum(map(len, encoded)) > _MOST_BYTES:
            raise ValueError(f"the events it returned take more than {_MOST_BYTES} bytes")
        return self._frames.Answer(self._frames.PASSED, encoded)

    def _line(self, trace: TracebackType | None) -> int:
        """Where in the user's file it happened; 0: not there."""
        line = 0
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == self._file:
                line = trace.tb_lineno
            trace = trace.tb_next
        return line

    def _fetch(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Any:
        self._pipes.put(self._frames.Fetch(method, url, dict(headers), bytes(body)))
        got = self._pipes.get()
        if got.error:
            raise OSError(got.error)
        return self._api.Response(got.status, got.headers, got.body)


def _plain(value: Any) -> Any:
    """What JSON has no form for, when it is no more than another mapping or list."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"an event can't hold a {type(value).__name__}")


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:1000].rstrip(": ")


def main() -> NoReturn:
    """Load what is needed, give up everything else, then serve."""
    about = json.loads(sys.argv[1])
    here = Path(__file__).resolve().parent
    sys.path.append(about["libraries"])
    import msgspec

    sys.path.remove(about["libraries"])
    frames = _module("frames", here / "frames.py")
    sandbox = _module("sandbox", here / "sandbox.py")
    sys.modules["penstock"] = ModuleType("penstock")
    api = _module("penstock.functions", about["api"])
    sys.modules["penstock"].functions = api  # type: ignore[attr-defined]
    pipes = _Pipes(frames, msgspec.msgpack.Decoder(frames.Order).decode)
    runner = _Runner(pipes, frames, about, api)
    os.close(about["progress"])
    sys.argv[:] = [""]
    try:
        sandbox.confine(about["files"], about["memory"], about["parent"])
    except OSError as error:
        pipes.get()
        pipes.put(frames.Loaded([], str(error)))
        sys.exit(1)
    runner.serve()


if __name__ == "__main__":
    main()
