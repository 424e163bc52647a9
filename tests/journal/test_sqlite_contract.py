from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.journal import Journal, SqliteJournal
from tests.contracts.journal import JournalContract, Stores


class SqliteStores(Stores):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def _journal(self, segment_bytes: int) -> Journal:
        return SqliteJournal(self.folder, segment_bytes=segment_bytes, clock=self.clock)

    def opening_code(self) -> str:
        return (
            "from pathlib import Path\n"
            "from penstock.journal import SqliteJournal\n"
            f"journal = SqliteJournal(Path({str(self.folder)!r}), "
            f"clock=lambda: {self.clock.now_us})"
        )


class TestSqliteJournal(JournalContract):
    @pytest.fixture
    def stores(self, tmp_path: Path) -> Iterator[Stores]:
        stores = SqliteStores(tmp_path / "a folder with % and ? in it" / "journal")
        yield stores
        stores.close()
