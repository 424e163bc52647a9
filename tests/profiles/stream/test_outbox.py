"""What is in the outbox comes to ``received`` once, whatever happens in between."""

from __future__ import annotations

from pathlib import Path

import msgspec

from penstock.events.counts import HOUR_US, decode_counts
from penstock.events.model import Record
from penstock.journal.contract import RECEIVED
from penstock.journal.sqlite import SqliteJournal
from penstock.profiles.stream.file import ProfileFile
from penstock.profiles.stream.outbox import PARTITION, SOURCE, Outbox

decode = msgspec.msgpack.Decoder(list[Record]).decode


def put(file: ProfileFile, *ids: str) -> None:
    with file.transaction() as connection:
        rows = [(one, f'{{"messageId":"{one}"}}'.encode()) for one in ids]
        connection.executemany("INSERT INTO outbox (message_id, payload) VALUES (?, ?)", rows)


def received(journal: SqliteJournal) -> list[Record]:
    reading = journal.read(RECEIVED, PARTITION, 0, 10_000)
    return [record for block in reading.blocks for record in decode(block.body)]


def test_messages_are_received_with_their_count(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal")
    file = ProfileFile(tmp_path / "default.sqlite")
    outbox = Outbox(journal, lambda: 5 * HOUR_US)
    put(file, "a", "b")
    assert outbox.forward(file, "default") == 2
    assert outbox.forward(file, "default") == 0
    assert [(one.source, one.message_id) for one in received(journal)] == [
        (SOURCE, "a"),
        (SOURCE, "b"),
    ]
    (block,) = journal.read(RECEIVED, PARTITION, 0, 10).blocks
    assert decode_counts(block.meta) == {(SOURCE, 5): 2}
    assert file.connection.execute("SELECT count(*) FROM outbox").fetchone() == (0,)
    outbox.close()


def test_what_was_appended_before_a_crash_is_not_appended_again(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal")
    file = ProfileFile(tmp_path / "default.sqlite")
    outbox = Outbox(journal, lambda: 1)
    put(file, "a", "b")
    kept = file.connection.execute("SELECT * FROM outbox").fetchall()
    outbox.forward(file, "default")
    with file.transaction() as connection:  # as if the rows had not been struck out
        connection.executemany("INSERT INTO outbox VALUES (?, ?, ?)", kept)
    put(file, "c")
    outbox.close()
    again = Outbox(journal, lambda: 1)
    assert again.forward(file, "default") == 1
    assert [one.message_id for one in received(journal)] == ["a", "b", "c"]
    again.close()


def test_a_new_file_begins_anew_and_loses_nothing(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal")
    outbox = Outbox(journal, lambda: 1)
    for name in ("old", "new"):
        file = ProfileFile(tmp_path / name / "default.sqlite")
        put(file, f"{name}-1")
        assert outbox.forward(file, "default") == 1
    assert [one.message_id for one in received(journal)] == ["old-1", "new-1"]
    outbox.close()


def test_receipt_never_runs_backwards(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal")
    file = ProfileFile(tmp_path / "default.sqlite")
    times = iter([100, 50, 200])
    outbox = Outbox(journal, lambda: next(times))
    for name in ("a", "b", "c"):
        put(file, name)
        outbox.forward(file, "default")
    assert [one.received_us for one in received(journal)] == [100, 100, 200]
    outbox.close()
