"""Group commit: many requests, one fsync."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable

import msgspec

from penstock.errors import JournalError, JournalFull, JournalUnwritable
from penstock.events.model import Record, RejectedRecord
from penstock.ingest.accept import Acceptance
from penstock.journal.contract import NewBlock, Writer

__all__ = ["GroupCommitter", "Tally"]

log = logging.getLogger("penstock.ingest")
_encode = msgspec.msgpack.Encoder().encode
_BLOCK_EVENTS = 2_000
_BUSY = 4
_GATHER_S = 0.002
"""After a round of at least ``_BUSY`` requests the next one waits this long for company: a
commit costs as much processor time as some ten single events. A lone client never waits."""
_Waiting = tuple[Acceptance, "asyncio.Future[None]", int]
"""What to write, whom to tell, and the bytes it counts for in the queue."""


class Tally:
    """Counts since the start of this collector."""

    def __init__(self) -> None:
        self.accepted = 0
        self.rejected = 0
        self.commits = 0
        self.failed_commits = 0
        self.turned_away = 0
        self.lost_pixels = 0


class GroupCommitter:
    """Writes what requests bring in one transaction per round, then answers them all.

    ``commit`` is called in the event loop; a thread of its own waits for the disk. At most
    ``queue_bytes`` may be waiting or being written; beyond, ``commit`` raises JournalFull at once.
    """

    def __init__(
        self,
        received: Writer,
        rejected: Writer,
        *,
        queue_bytes: int,
        has_room: Callable[[], bool] = lambda: True,
    ) -> None:
        self.tally = Tally()
        self._received = received
        self._rejected = rejected
        self._queue_bytes = queue_bytes
        self._has_room = has_room
        self._loop = asyncio.get_running_loop()
        self._waiting: list[_Waiting] = []
        self._pending_bytes = 0
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
        self._thread.start()

    def commit(self, acceptance: Acceptance, size: int) -> asyncio.Future[None]:
        """A future that is done when everything in ``acceptance`` is on disk.

        It fails with JournalUnwritable when the write failed. Raises JournalFull when too much
        waits already, JournalUnwritable when the disk is nearly full. ``size`` is the length of
        the request's body.
        """
        if self._pending_bytes and self._pending_bytes + size > self._queue_bytes:
            self.tally.turned_away += 1
            raise JournalFull("too many events wait for the disk")
        if not self._has_room():
            self.tally.turned_away += 1
            raise JournalUnwritable("the disk is nearly full")
        future: asyncio.Future[None] = self._loop.create_future()
        self._pending_bytes += size
        with self._lock:
            self._waiting.append((acceptance, future, size))
        self._wake.set()
        return future

    def close(self) -> None:
        """Write what waits, then stop."""
        self._closing = True
        self._wake.set()
        self._thread.join(timeout=30)
        self._received.close()
        self._rejected.close()

    def _run(self) -> None:
        last = 0
        while True:
            self._wake.wait()
            if last >= _BUSY:
                time.sleep(_GATHER_S)
            self._wake.clear()
            with self._lock:
                work, self._waiting = self._waiting, []
            last = len(work)
            if work:
                self._round(work)
            elif self._closing:
                return
            if self._closing:
                self._wake.set()

    def _round(self, work: list[_Waiting]) -> None:
        error: JournalError | None = None
        try:
            self._write([acceptance for acceptance, _, _ in work])
        except JournalError as failure:
            error = failure
        except Exception as failure:
            log.exception("the committer failed")
            error = JournalUnwritable(f"{type(failure).__name__}: {failure}")
        if error is not None:
            log.error("nothing of %d requests was written: %s", len(work), error)
            self.tally.failed_commits += 1
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._settle, work, error)

    def _write(self, acceptances: list[Acceptance]) -> None:
        records: list[Record] = []
        rejected: list[RejectedRecord] = []
        for acceptance in acceptances:
            records += acceptance.records
            rejected += acceptance.rejected
        if rejected:
            self._rejected.append(_blocks(rejected))
        if records:
            self._received.append(_blocks(records))
        self.tally.accepted += len(records)
        self.tally.rejected += len(rejected)
        self.tally.commits += 1

    def _settle(self, work: list[_Waiting], error: JournalError | None) -> None:
        """In the event loop: answer the requests of a round."""
        for _, future, size in work:
            self._pending_bytes -= size
            if future.done():
                continue
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)


def _blocks(records: list[Record] | list[RejectedRecord]) -> list[NewBlock]:
    return [
        NewBlock(_encode(part), len(part))
        for start in range(0, len(records), _BLOCK_EVENTS)
        for part in (records[start : start + _BLOCK_EVENTS],)
    ]
