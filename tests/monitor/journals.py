"""A journal written by hand, and the monitor's worker on it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from penstock.events.model import Record, RejectedRecord
from penstock.journal.contract import EVENTS, RECEIVED, REJECTED, NewBlock
from penstock.journal.sqlite import SqliteJournal
from penstock.monitor.store import MonitorStore
from penstock.monitor.worker import MonitorWorker
from penstock.process.meta import EventsMeta

START_US = 1_767_607_200_000_000
START = datetime.fromtimestamp(START_US / 1_000_000, UTC)
MINUTE_US = 60_000_000
_encode = msgspec.msgpack.Encoder().encode


class Journals:
    """A data folder with a journal that a test writes."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.journal = SqliteJournal(data / "journal")
        self._written: dict[int, int] = {}

    def write(self, topic: str, records: list[Any], part: int = 0, meta: bytes = b"") -> None:
        writer = self.journal.writer(topic, part)
        writer.append([NewBlock(_encode(records), len(records), meta)])
        writer.close()

    def store(self, *records: Record) -> None:
        """A block of ``events``, made of as many of ``received``."""
        first = self._written.get(0, 0)
        end = self._written[0] = first + len(records)
        self.write(EVENTS, list(records), meta=meta(0, first, end))

    def receive(self, *records: Record, part: int = 0) -> None:
        self.write(RECEIVED, list(records), part)

    def reject(self, *records: RejectedRecord, part: int = 0) -> None:
        self.write(REJECTED, list(records), part)

    def worker(self, store: MonitorStore, **how: Any) -> MonitorWorker:
        how.setdefault("masked", "email, name")
        return MonitorWorker(self.journal, store, every=timedelta(0), **how)

    def close(self) -> None:
        self.journal.close()


def meta(part: int, first: int, end: int, newest_us: int = START_US) -> bytes:
    return msgspec.json.encode(EventsMeta(part, first, end, 0, newest_us, []))


def event(
    message_id: str, name: str | None = "A", at_us: int = START_US, source: str = "web", **more: Any
) -> Record:
    """A track call, or with ``type`` another one."""
    payload = {"type": "track", "messageId": message_id, "userId": "u1", **more}
    if name is not None:
        payload["event"] = name
    return Record(source, message_id, at_us, json.dumps(payload).encode())


def refused(
    code: str, at_us: int = START_US, source: str = "web", original: bytes = b"{}", path: str = ""
) -> RejectedRecord:
    return RejectedRecord(source, at_us, code, f"because of {code}", path, original)
