"""Group commit: many requests, one fsync."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable

import msgspec

from penstock import logs
from penstock.errors import JournalError, JournalFull, JournalUnwritable
from penstock.events.counts import HOUR_US, Counts, encode_counts
from penstock.events.model import Record, RejectedRecord
from penstock.ingest.accept import Acceptance
from penstock.journal.contract import NewBlock, Writer
from penstock.metrics import Histogram

__all__ = ["GroupCommitter", "Tally"]

log = logs.get("penstock.ingest")
_encode = msgspec.msgpack.Encoder().encode
_BLOCK_EVENTS = 2_000
_TROUBLE_S = 5.0
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
        self.codes: Counter[str] = Counter()
        """What was rejected, by ingest code."""
        self.commit_seconds = Histogram("penstock_collector_commit_seconds")
        self.commit_requests = Histogram("penstock_collector_commit_requests")


class GroupCommitter:
    """Writes what requests bring in one transaction per round, then answers them all.

    ``commit`` is called in the event loop; a thread of its own waits for the disk. At most
    ``queue_bytes`` may be waiting or being written; beyond, ``commit`` raises JournalFull at once.

    The first block of a round carries what the round's requests were promised, by source and
    hour, as counted when they came and not from the events written. What could not be told, for
    want of a block, is told with the next one.
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
        self._received = _Topic(received)
        self._rejected = _Topic(rejected)
        self._queue_bytes = queue_bytes
        self._has_room = has_room
        self._loop = asyncio.get_running_loop()
        self._waiting: list[_Waiting] = []
        self._promised: Counts = Counter()
        self._refused: Counts = Counter()
        self._pending_bytes = 0
        self._failed_at = -_TROUBLE_S
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
        key = (acceptance.source, acceptance.received_us // HOUR_US)
        with self._lock:
            if acceptance.promised:
                self._promised[key] += acceptance.promised
            if acceptance.refused:
                self._refused[key] += acceptance.refused
            self._waiting.append((acceptance, future, size))
        self._wake.set()
        return future

    @property
    def waiting_bytes(self) -> int:
        """Bytes that wait for the disk."""
        return self._pending_bytes

    def trouble(self) -> str:
        """Why an event that comes now may not be kept; empty when nothing speaks against it.

        A failed write counts for some seconds: only the next event can tell whether it passed.
        """
        if not self._thread.is_alive():
            return "nothing is written any more"
        if time.monotonic() - self._failed_at < _TROUBLE_S:
            return "a write to the journal failed just now"
        if self._pending_bytes >= self._queue_bytes:
            return "too many events wait for the disk"
        return ""

    def close(self) -> None:
        """Write what waits, then stop."""
        self._closing = True
        self._wake.set()
        self._thread.join(timeout=30)
        self._received.writer.close()
        self._rejected.writer.close()

    def _run(self) -> None:
        last = 0
        while True:
            self._wake.wait()
            if last >= _BUSY:
                time.sleep(_GATHER_S)
            self._wake.clear()
            with self._lock:
                work, self._waiting = self._waiting, []
                promised, self._promised = self._promised, Counter()
                refused, self._refused = self._refused, Counter()
            last = len(work)
            if work:
                self._round(work, promised, refused)
            elif self._closing:
                return
            if self._closing:
                self._wake.set()

    def _round(self, work: list[_Waiting], promised: Counts, refused: Counts) -> None:
        error: JournalError | None = None
        began = time.monotonic()
        try:
            self._write([acceptance for acceptance, _, _ in work], promised, refused)
        except JournalError as failure:
            error = failure
        except Exception as failure:
            log.exception("the committer failed")
            error = JournalUnwritable(type(failure).__name__)
        self.tally.commit_seconds.observe(time.monotonic() - began)
        self.tally.commit_requests.observe(len(work))
        if error is not None:
            log.error("nothing was written", requests=len(work), error=error)
            self.tally.failed_commits += 1
            self._failed_at = time.monotonic()
        else:
            self._failed_at = -_TROUBLE_S
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._settle, work, error)

    def _write(self, acceptances: list[Acceptance], promised: Counts, refused: Counts) -> None:
        records: list[Record] = []
        rejected: list[RejectedRecord] = []
        for acceptance in acceptances:
            records += acceptance.records
            rejected += acceptance.rejected
        self._rejected.append(rejected, refused)
        self._received.append(records, promised)
        self.tally.accepted += len(records)
        self.tally.rejected += len(rejected)
        self.tally.codes.update(record.code for record in rejected)
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


class _Topic:
    """A writer, and the counts that its next block has to tell."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self._untold: Counts = Counter()

    def append(self, records: list[Record] | list[RejectedRecord], counts: Counts) -> None:
        """Write a round's events with its counts; both or, when this raises, neither."""
        counts = counts + self._untold
        if records:
            self.writer.append(_blocks(records, counts))
            self._untold = Counter()
        else:
            self._untold = counts


def _blocks(records: list[Record] | list[RejectedRecord], counts: Counts) -> list[NewBlock]:
    meta = encode_counts(counts)
    return [
        NewBlock(_encode(part), len(part), b"[]" if start else meta)
        for start in range(0, len(records), _BLOCK_EVENTS)
        for part in (records[start : start + _BLOCK_EVENTS],)
    ]
