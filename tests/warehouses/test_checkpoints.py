"""When checkpoints are written, and that they can be held off."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from penstock.errors import EngineUnreachable, WarehouseInvalid, WarehouseUnavailable
from penstock.warehouses.checkpoints import Checkpoints, Hold, write_ahead_file
from penstock.warehouses.copies import CopyServer, held_by_engine

HOUR = 3600.0


class Engine:
    """A main file of 10 bytes, and a write-ahead file that a checkpoint empties."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "w.duckdb"
        self.file.write_bytes(b"x" * 10)
        self.now = 0.0
        self.written = 0
        self.failure: duckdb.Error | None = None
        self.checkpoints = Checkpoints(
            self.file, self._checkpoint, threshold=100, clock=lambda: self.now
        )

    def commit(self, size: int) -> None:
        with write_ahead_file(self.file).open("ab") as wal:
            wal.write(b"w" * size)
        self.checkpoints.committed()

    def _checkpoint(self) -> None:
        if self.failure is not None:
            raise self.failure
        write_ahead_file(self.file).unlink()
        self.written += 1


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path)


def test_a_checkpoint_is_written_once_much_has_gathered(engine: Engine) -> None:
    engine.commit(60)
    assert engine.written == 0
    engine.commit(60)
    assert engine.written == 1
    engine.commit(60)
    assert engine.written == 1


def test_a_hold_names_what_was_committed_and_keeps_checkpoints_off(engine: Engine) -> None:
    engine.commit(60)
    with engine.checkpoints.held() as hold:
        assert hold == Hold(main_bytes=10, wal_bytes=60)
        engine.commit(60)
        with engine.checkpoints.held() as second:
            assert second.wal_bytes == 120
        engine.commit(60)
        assert engine.written == 0
    engine.commit(1)
    assert engine.written == 1


def test_a_copy_is_void_when_the_engine_closed_meanwhile(engine: Engine) -> None:
    with pytest.raises(WarehouseUnavailable, match="try again"), engine.checkpoints.held():
        engine.checkpoints.close()
    with pytest.raises(WarehouseUnavailable, match="closing"), engine.checkpoints.held():
        pass


def test_a_hold_that_is_forgotten_ends_after_an_hour(engine: Engine) -> None:
    with pytest.raises(WarehouseUnavailable), engine.checkpoints.held():
        engine.now = HOUR - 1
        engine.commit(120)
        assert engine.written == 0
        engine.now = HOUR + 1
        engine.commit(1)
        assert engine.written == 1


def test_a_commit_stays_good_when_its_checkpoint_fails(engine: Engine) -> None:
    engine.failure = duckdb.IOException("no room")
    engine.commit(120)
    engine.failure = None
    engine.commit(1)
    assert engine.written == 1
    engine.failure = duckdb.FatalException("broken")
    with pytest.raises(WarehouseInvalid):
        engine.commit(120)


def test_another_process_holds_through_the_socket(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "copies.sock"
    server = CopyServer(path, engine.checkpoints.held)
    engine.commit(60)
    with held_by_engine(path) as hold:
        assert hold == Hold(10, 60)
        engine.commit(60)
        assert engine.written == 0
    for _ in range(200):
        with held_by_engine(path):
            pass
    with pytest.raises(WarehouseUnavailable, match="try again"), held_by_engine(path):
        engine.checkpoints.close()
    with pytest.raises(WarehouseUnavailable, match="closing"), held_by_engine(path):
        pass
    server.close()
    with pytest.raises(EngineUnreachable), held_by_engine(path):
        pass
