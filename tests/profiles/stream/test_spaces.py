"""Spaces beside each other: the file of one may fail, or the space go, and the others go on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import pytest

from penstock.errors import ProfileError
from penstock.events.model import Record
from penstock.journal.contract import EVENTS, NewBlock
from penstock.journal.sqlite import SqliteJournal
from penstock.profiles.stream.file import ProfileFile, file_of
from penstock.profiles.stream.role import ProfilesWorker, SpacePlan
from penstock.profiles.stream.worker import consumer_of


class Named:
    """Two spaces; the source of each has its name."""

    def __init__(self, *names: str) -> None:
        self.found: Mapping[str, SpacePlan] = {name: SpacePlan() for name in names}

    def __call__(self) -> Mapping[str, SpacePlan]:
        return self.found

    def space_of(self, source: str) -> str:
        return source


class Bed:
    """A worker over a journal with one event of each space."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "profiles"
        self.spaces = Named("one", "two")
        self.now = 0.0
        self.journal = SqliteJournal(folder / "journal")
        self._writer = self.journal.writer(EVENTS, 0)
        self.worker = ProfilesWorker(
            self.folder, self.journal, self.spaces, steady=lambda: self.now
        )  # fmt: skip

    def close(self) -> None:
        self.worker.close()
        self._writer.close()
        self.journal.close()

    def send(self, message: str) -> None:
        event = {"type": "track", "event": "Bought", "userId": "u1", "messageId": message,
                 "timestamp": "2026-01-05T10:00:00Z"}  # fmt: skip
        payload = json.dumps(event).encode()
        records = [Record(name, message, 1, payload) for name in ("one", "two")]
        self._writer.append([NewBlock(msgspec.msgpack.encode(records), 2)])

    def drain(self) -> None:
        self.now += 1.0
        while self.worker.step():
            pass

    def positions(self) -> dict[str, int]:
        self.now += 1.0
        self.worker.step()
        return {
            name: self.journal.position(consumer_of(name), EVENTS, 0) for name in ("one", "two")
        }


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    made = Bed(tmp_path)
    yield made
    made.close()


def test_a_damaged_file_stops_its_space_alone_until_it_is_mended(bed: Bed) -> None:
    file = file_of(bed.folder, "one")
    bed.folder.mkdir()
    file.write_bytes(b"no database" * 1000)
    bed.send("m1")
    bed.drain()
    assert bed.positions() == {"one": 0, "two": 2}
    assert file.read_bytes().startswith(b"no database"), "it is left as it was"
    file.unlink()
    bed.now += 60.0
    bed.drain()
    assert bed.positions() == {"one": 2, "two": 2}


def test_a_damaged_file_says_what_to_do(tmp_path: Path) -> None:
    file = file_of(tmp_path, "one")
    file.write_bytes(b"no database" * 1000)
    with pytest.raises(ProfileError, match=r"one\.sqlite is damaged .*penstock restore"):
        ProfileFile(file)


def test_a_file_that_fails_on_the_way_loses_nothing(bed: Bed) -> None:
    bed.drain()
    connection = bed.worker.spaces["one"].file.connection
    connection.execute("CREATE TRIGGER broken BEFORE INSERT ON positions BEGIN"
                       " SELECT RAISE(ABORT, 'no'); END")  # fmt: skip
    bed.send("m1")
    bed.drain()
    assert bed.positions() == {"one": 0, "two": 2}
    other = ProfileFile(file_of(bed.folder, "one"))
    other.connection.execute("DROP TRIGGER broken")
    other.close()
    bed.now += 60.0
    bed.drain()
    assert bed.positions() == {"one": 2, "two": 2}
    assert bed.worker.spaces["one"].graph.owner("user_id", "u1") is not None


def test_retention_keeps_nothing_for_a_space_that_is_gone(bed: Bed) -> None:
    bed.send("m1")
    bed.drain()
    assert bed.positions() == {"one": 2, "two": 2}
    bed.spaces.found = {"two": SpacePlan()}
    assert bed.positions() == {"one": 0, "two": 2}
    assert list(bed.worker.spaces) == ["two"]


def test_a_space_that_went_while_nothing_ran_is_forgotten_too(bed: Bed) -> None:
    bed.send("m1")
    bed.drain()
    assert bed.positions() == {"one": 2, "two": 2}
    bed.worker.close()
    bed.spaces.found = {"two": SpacePlan()}
    bed.worker = ProfilesWorker(bed.folder, bed.journal, bed.spaces, steady=lambda: bed.now)
    assert bed.positions() == {"one": 0, "two": 2}
    assert file_of(bed.folder, "one").exists(), "what is known of its people stays"
