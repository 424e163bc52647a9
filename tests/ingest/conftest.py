from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ingest.collecting import Collecting


@pytest.fixture
def collecting(tmp_path: Path) -> Iterator[Collecting]:
    collecting = Collecting(tmp_path)
    yield collecting
    collecting.close()
