"""One line for each decision: key=value for people, JSON for machines.

Modules log through ``get``: an event in plain words, and facts by name. What other libraries log
goes the same way. Neither a client's data nor a secret belongs in an event or a fact; and because
the message of an unexpected exception may quote either, only its type and place are written.
"""

from __future__ import annotations

import json
import logging
import re
import sqlite3
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from penstock.errors import PenstockError

__all__ = ["Log", "behind", "get", "set_up", "told"]

_FACTS = "facts"
_PLAIN = re.compile(r"[^\s\"'=]+")
_DEEPEST = 12
"""Frames of a traceback that are told, the innermost."""


class Log:
    """A logger of events with facts."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, event: str, **facts: object) -> None:
        """Something only a developer asks for."""
        self._write(logging.DEBUG, event, facts)

    def info(self, event: str, **facts: object) -> None:
        """A decision in the normal course of things."""
        self._write(logging.INFO, event, facts)

    def warning(self, event: str, **facts: object) -> None:
        """Something that may need a person."""
        self._write(logging.WARNING, event, facts)

    def error(self, event: str, **facts: object) -> None:
        """Something that went wrong."""
        self._write(logging.ERROR, event, facts)

    def exception(self, event: str, **facts: object) -> None:
        """Something nobody expected: adds the type and place of the exception being handled."""
        self._write(logging.ERROR, event, facts, traced=True)

    def _write(
        self, level: int, event: str, facts: Mapping[str, object], *, traced: bool = False
    ) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, "%s", event, extra={_FACTS: facts}, exc_info=traced)


def get(name: str) -> Log:
    """The log of a module or a group of them."""
    return Log(name)


def set_up(role: str, *, form: str = "auto", level: str = "info", to: TextIO | None = None) -> bool:
    """Send everything that is logged in this process to ``to`` (default: standard error).

    Returns whether lines are JSON.
    """
    stream = to or sys.stderr
    as_json = form == "json" or (form == "auto" and not stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Formatter(role, as_json))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    return as_json


def told(error: BaseException) -> str:
    """What may be written of an exception.

    Our own errors, and those of disks, imports and databases, speak of files; the message of any
    other may quote what a client sent.
    """
    original = getattr(error, "orig", None)  # a state store's error, without its parameters
    if isinstance(error, PenstockError | sqlite3.Error | ImportError):
        return str(error)
    if isinstance(error, OSError):
        reason = error.strerror or type(error).__name__
        return f"{error.filename}: {reason}" if error.filename else reason
    if isinstance(original, BaseException):
        return str(original).partition("\n")[0]
    return type(error).__name__


def behind(error: BaseException) -> str:
    """What kind of error caused one whose message may quote an event, as a warehouse's does."""
    return type(error.__cause__ or error).__name__


class _Formatter(logging.Formatter):
    def __init__(self, role: str, as_json: bool) -> None:
        super().__init__()
        self._role = role
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        facts: dict[str, object] = dict(getattr(record, _FACTS, {}))
        if record.exc_info and record.exc_info[1] is not None:
            facts["error"] = told(record.exc_info[1])
            facts["type"] = type(record.exc_info[1]).__qualname__
            facts["trace"] = _trace(record.exc_info[2])
        event = record.getMessage()
        if self._as_json:
            line = {
                "at": _moment(record.created), "level": record.levelname.lower(),
                "role": self._role, "logger": record.name, "event": event, **facts,
            }  # fmt: skip
            return json.dumps(line, default=str)
        shown = "".join(f" {name}={_shown(value)}" for name, value in facts.items())
        event = " | ".join(event.splitlines())
        return f"{_moment(record.created)} {record.levelname} {self._role}: {event}{shown}"


def _shown(value: object) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _moment(seconds: float) -> str:
    whole, fraction = divmod(seconds, 1)
    clock = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
    return f"{clock}.{int(fraction * 1000):03d}Z"


def _trace(where: TracebackType | None) -> str:
    """The innermost frames, the place of the error first; names and lines, no values."""
    frames: list[Any] = traceback.extract_tb(where)[-_DEEPEST:]
    return " < ".join(
        f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames)
    )
