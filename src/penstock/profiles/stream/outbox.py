"""Hands what profiles tell over to the journal, each once."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from penstock.events.counts import counted, encode_counts
from penstock.events.model import Record
from penstock.journal.contract import RECEIVED, Journal, NewBlock
from penstock.profiles.stream.file import ProfileFile

__all__ = ["PARTITION", "SOURCE", "Outbox"]

SOURCE = "penstock"
"""The source of what Penstock itself tells; its schema in the warehouse too."""
PARTITION = 20_000
"""Partition of ``received`` that the profiles process writes; collectors use those from 0."""
_AT_ONCE = 2_000
_encode = msgspec.msgpack.Encoder().encode


class Outbox:
    """Messages were written in the transaction that decided on them; here they leave.

    The id of a message's row is its sequence, so that a message appended before a crash is not
    appended after it. One writer serves all spaces.
    """

    def __init__(
        self, journal: Journal, clock_us: Callable[[], int], partition: int = PARTITION
    ) -> None:
        self._writer = journal.writer(RECEIVED, partition)
        self._clock_us = clock_us
        self._newest_us = self._writer.last_created_us()
        self.sent = 0

    def forward(self, file: ProfileFile, space: str) -> int:
        """Append what waits in a space's file, then strike it out; returns how many."""
        producer = f"profiles/{space}/{file.instance}"
        query = "SELECT id, message_id, payload FROM outbox ORDER BY id LIMIT ?"
        rows = file.connection.execute(query, (_AT_ONCE,)).fetchall()
        if not rows:
            return 0
        done = self._writer.last_sequence(producer)
        fresh = [row for row in rows if done is None or row[0] > done]
        if fresh:
            self._newest_us = now_us = max(self._clock_us(), self._newest_us)
            records = [Record(SOURCE, message, now_us, payload) for _, message, payload in fresh]
            meta = encode_counts(counted(records))
            self._writer.append(
                [NewBlock(_encode(records), len(records), meta, producer, fresh[-1][0])]
            )
        with file.transaction() as connection:
            connection.execute("DELETE FROM outbox WHERE id <= ?", (rows[-1][0],))
        self.sent += len(fresh)
        return len(fresh)

    def close(self) -> None:
        """Release the partition."""
        self._writer.close()
