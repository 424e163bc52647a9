"""Group commit: many requests, one fsync."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable

import msgspec

from penstock.errors import JournalError, JournalFull
from penstock.events.model import Record, RejectedRecord
from penstock.ingest.accept import Acceptance
from penstock.journal.contract import NewBlock, Writer

__all__ = ["GroupCommitter", "Tally"]

log = logging.getLogger("penstock.ingest")
_encode = msgspec.msgpack.Encoder().encode
_BLOCK_EVENTS = 2_000


class Tally:
    """Counts since the start of this collector."""

    def __init__(self) -> None:
        self.accepted = 0
        self.rejected = 0
        self.commits = 0
        self.failed_commits = 0
        self.turned_away = 0


class GroupCommitter:
    """Writes what requests bring in one transaction per round, then answers them all.

    ``commit`` is called in the event loop; a thread of its own waits for the disk. At most
    ``queue_bytes`` may wait; beyond, ``commit`` raises JournalFull at once.
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
        self._waiting: list[tuple[Acceptance, asyncio.Future[None]]] = []
        self._waiting_bytes = 0
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
        self._thread.start()

    def commit(self, acceptance: Acceptance, size: int) -> asyncio.Future[None]:
        """A future that is done when everything in ``acceptance`` is on disk.

        It fails with JournalError when the write failed. Raises JournalFull when too much waits
        already or the disk is nearly full. ``size`` is the length of the request's body.
        """
        if self._waiting_bytes + size > self._queue_bytes:
            self.tally.turned_away += 1
            raise JournalFull("too many events wait for the disk")
        if not self._has_room():
            self.tally.turned_away += 1
            raise JournalFull("the disk is nearly full")
        future: asyncio.Future[None] = self._loop.create_future()
        with self._lock:
            self._waiting.append((acceptance, future))
            self._waiting_bytes += size
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
        while True:
            self._wake.wait()
            self._wake.clear()
            with self._lock:
                work, self._waiting = self._waiting, []
                self._waiting_bytes = 0
            if work:
                self._round(work)
            elif self._closing:
                return
            if self._closing:
                self._wake.set()

    def _round(self, work: list[tuple[Acceptance, asyncio.Future[None]]]) -> None:
        records: list[Record] = []
        rejected: list[RejectedRecord] = []
        for acceptance, _ in work:
            records += acceptance.records
            rejected += acceptance.rejected
        error: JournalError | None = None
        try:
            if rejected:
                self._rejected.append(list(_blocks(rejected)))
            if records:
                self._received.append(list(_blocks(records)))
            self.tally.accepted += len(records)
            self.tally.rejected += len(rejected)
            self.tally.commits += 1
        except JournalError as failure:
            log.error("nothing of %d requests was written: %s", len(work), failure)
            self.tally.failed_commits += 1
            error = failure
        self._loop.call_soon_threadsafe(_settle, [future for _, future in work], error)


def _blocks(records: list[Record] | list[RejectedRecord]) -> list[NewBlock]:
    return [
        NewBlock(_encode(part), len(part))
        for start in range(0, len(records), _BLOCK_EVENTS)
        for part in (records[start : start + _BLOCK_EVENTS],)
    ]


def _settle(futures: list[asyncio.Future[None]], error: JournalError | None) -> None:
    for future in futures:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
