"""One function: its file as it is now, its process, and what becomes of it when it misbehaves."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from penstock import logs
from penstock.destinations.functions import frames
from penstock.destinations.functions.child import Carry, Child, Ended, NotLoaded
from penstock.destinations.model import FunctionSetup

__all__ = [
    "BROKEN",
    "FUNCTION_FAILED",
    "FUNCTION_REJECTED",
    "FUNCTION_RETRY",
    "FUNCTION_STOPPED",
    "FUNCTION_UNAVAILABLE",
    "HELD",
    "IDLE",
    "RUNNING",
    "Function",
    "Outcome",
]

log = logs.get("penstock.functions")
FUNCTION_FAILED = "FUNCTION_FAILED"
FUNCTION_STOPPED = "FUNCTION_STOPPED"
FUNCTION_RETRY = "FUNCTION_RETRY"
FUNCTION_REJECTED = "FUNCTION_REJECTED"
FUNCTION_UNAVAILABLE = "FUNCTION_UNAVAILABLE"
_CODES = {
    frames.RETRY: FUNCTION_RETRY, frames.REJECTED: FUNCTION_REJECTED,
    frames.FAILED: FUNCTION_FAILED,
}  # fmt: skip
IDLE, RUNNING, BROKEN, HELD = "idle", "running", "broken", "held"
"""Not needed yet; loaded; never could be loaded; stopped too often just now."""
_LOOK_S = 0.5
_AGAIN_S = 5.0
_STRIKES = 3
_GOOD = 100
"""Events that pass in a row until it counts as mended."""
_HOLD_S, _LONGEST_HOLD_S = 10.0, 600.0
_TOLD_S = 60.0
_AT_ONCE = 500
_MOST_EVENTS, _MOST_BYTES = 100, 1024 * 1024
"""As the runner has them, whose word is not taken for it."""


@dataclass(frozen=True)
class Outcome:
    """What a function made of one event."""

    events: tuple[bytes, ...] | None = ()
    """As JSON; None: the event as it was."""
    code: str = ""
    """Why it did not pass; empty: it did, or was dropped, when there are no events."""
    message: str = ""
    line: int = 0
    printed: str = ""

    @property
    def may_pass_later(self) -> bool:
        """Whether the same event can have another outcome without a change of the code."""
        return self.code in (FUNCTION_RETRY, FUNCTION_UNAVAILABLE)


class Function:
    """Makes outcomes of events, whatever the code does; used by one thread, which it blocks.

    Its process is started with the first event. A file that is saved is loaded into a new process,
    and the old one goes on when it can't be. A process that is stopped three times, without a
    hundred events in between that pass, is held off for 10 s, then twice as long each time up to
    10 minutes; meanwhile no event is given to it.
    """

    def __init__(
        self,
        setup: FunctionSetup,
        folder: Path,
        carry: Carry,
        *,
        clock: Callable[[], float] = time.monotonic,
        files: str = "",
    ) -> None:
        """``folder`` holds the file; ``files`` as for Child."""
        self.setup = setup
        self.problem = ""
        """What was wrong last: with the file as it is, or with the process."""
        self.counts: Counter[str] = Counter()
        """passed, dropped, added, and codes, since the start of this process."""
        self._path = folder / setup.file
        self._carry = carry
        self._clock = clock
        self._files = files
        self._child: Child | None = None
        self._good: tuple[str, str] | None = None
        """Digest and text of the file as it was loaded last."""
        self._tried = ""
        self._next_look = 0.0
        self._strikes = 0
        self._passed = 0
        self._held_until = 0.0
        self._told: dict[str, float] = {}

    @property
    def state(self) -> str:
        """IDLE, RUNNING, BROKEN or HELD."""
        if self._clock() < self._held_until:
            return HELD
        if self._good is None:
            return BROKEN if self.problem else IDLE
        return RUNNING if self._child is not None else IDLE

    def __call__(self, events: Sequence[bytes]) -> list[Outcome]:
        """An outcome for each event, as JSON, in order. Never raises for what the code does."""
        done = self._all(events)
        for outcome in done:
            self._count(outcome)
        return done

    def _all(self, events: Sequence[bytes]) -> list[Outcome]:
        done: list[Outcome] = []
        while len(done) < len(events):
            rest = events[len(done) : len(done) + _AT_ONCE]
            child = self._ready()
            if child is None:
                unavailable = Outcome((), FUNCTION_UNAVAILABLE, self.problem)
                done += [unavailable] * (len(events) - len(done))
                break
            done += self._given(child, rest)
        return done

    def _given(self, child: Child, events: Sequence[bytes]) -> list[Outcome]:
        """Outcomes of these, or of the first of them when the process ended before.

        What it had done and not told yet when it was stopped is done once more, without the one
        event that it was stopped for.
        """
        done: list[Outcome] = []
        try:
            child.run(events, lambda answer: done.append(self._outcome(answer)))
        except Ended as end:
            self._child = None
            if str(end):
                done += self._all(events[len(done) : end.at])
                done.append(Outcome((), FUNCTION_STOPPED, str(end)))
                self._strike(str(end))
        return done

    def _outcome(self, answer: frames.Answer) -> Outcome:
        if answer.kind == frames.LEFT:
            return Outcome(None, printed=answer.printed)
        if answer.kind == frames.PASSED:
            if len(answer.events) > _MOST_EVENTS or sum(map(len, answer.events)) > _MOST_BYTES:
                return Outcome((), FUNCTION_FAILED, "it made more of one event than it may")
            self._pass()
            return Outcome(tuple(answer.events), printed=answer.printed)
        if answer.out_of_memory:
            self._child = None
            what = f"it was stopped: it took more than {self.setup.memory:,} bytes of memory"
            self._strike(what)
            return Outcome((), FUNCTION_STOPPED, what, answer.line, answer.printed)
        code = _CODES.get(answer.kind, FUNCTION_FAILED)
        if code == FUNCTION_FAILED:
            self._tell(answer.message, answer.line)
        else:
            self._pass()
        return Outcome((), code, answer.message, answer.line, answer.printed)

    def _count(self, outcome: Outcome) -> None:
        if outcome.code:
            self.counts[outcome.code] += 1
        elif outcome.events is None or outcome.events:
            self.counts["passed"] += 1
            self.counts["added"] += max(len(outcome.events or ()) - 1, 0)
        else:
            self.counts["dropped"] += 1

    def _tell(self, message: str, line: int) -> None:
        """Log a failure, the same place at most once a minute."""
        key = f"{line} {message.partition(':')[0]}"
        now = self._clock()
        if now - self._told.get(key, -_TOLD_S) >= _TOLD_S:
            self._told = {key: now} if len(self._told) > 100 else {**self._told, key: now}
            log.warning("a function failed", function=self.setup.slug, line=line,
                        error=message)  # fmt: skip

    # Its process ----------------------------------------------------------------------------

    def _pass(self) -> None:
        self._passed += 1
        if self._strikes and self._passed >= _GOOD:
            self._strikes = 0
            log.info("a function works again", function=self.setup.slug)

    def _strike(self, what: str) -> None:
        self._strikes += 1
        self._passed = 0
        self.problem = what
        log.warning("a function was stopped", function=self.setup.slug, reason=what)
        if self._strikes >= _STRIKES:
            wait = min(_HOLD_S * 2 ** min(self._strikes - _STRIKES, 10), _LONGEST_HOLD_S)
            self._held_until = self._clock() + wait
            self.problem = f"{what}; it is held off for {wait:g} s after {self._strikes} such stops"
            log.error("a function is held off", function=self.setup.slug, seconds=wait,
                      reason=what)  # fmt: skip

    def _ready(self) -> Child | None:
        """Its process with the file as it is, or as it was when it could be loaded last."""
        now = self._clock()
        if now >= self._next_look:
            self._next_look = now + _LOOK_S
            self._look()
        if now < self._held_until or self._good is None:
            return None
        if self._child is None:
            self._child = self._started(self._good[1])
        return self._child

    def _look(self) -> None:
        """Take up the file when it was saved."""
        try:
            source = self._path.read_bytes().decode("utf-8")
        except (OSError, UnicodeError) as error:
            what = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            if self._good is None or self._tried:
                self._cant_use(f"{self._path}: {what}", 0)
            self._tried = ""
            return
        digest = hashlib.sha256(source.encode()).hexdigest()
        if digest == self._tried:
            return
        self._tried = digest
        if self._good is not None and self._good[0] == digest:
            self.problem = ""
            return
        child = self._started(source)
        if child is None:
            return
        self.close()
        self._child = child
        if self._good is not None:
            log.info("a function was loaded anew", function=self.setup.slug)
        self._good = (digest, source)
        self.problem = ""
        self._strikes = 0
        self._held_until = 0.0

    def _started(self, source: str) -> Child | None:
        child = None
        setup = self.setup
        try:
            child = Child(timeout=setup.timeout, memory=setup.memory, carry=self._carry,
                          files=self._files)  # fmt: skip
            child.load(str(self._path), source, dict(setup.settings))
        except (NotLoaded, Ended, OSError) as error:
            if child is not None:
                child.close()
            self._cant_use(str(error), getattr(error, "line", 0))
            if not isinstance(error, NotLoaded) or not error.line:
                self._tried = ""  # it may not be the file's fault
                self._next_look = self._clock() + _AGAIN_S
            return None
        return child

    def _cant_use(self, what: str, line: int) -> None:
        place = f"{self.setup.file}, line {line}: " if line else ""
        self.problem = f"{place}{what}"
        goes_on = "; the version before goes on" if self._good is not None else ""
        now = self._clock()
        if now - self._told.get(self.problem, -_TOLD_S) >= _TOLD_S:
            self._told[self.problem] = now
            log.error(f"a function can't be loaded{goes_on}", function=self.setup.slug,
                      error=self.problem)  # fmt: skip

    def close(self) -> None:
        """End its process."""
        if self._child is not None:
            self._child.close()
            self._child = None
