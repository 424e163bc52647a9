"""One running Penstock for all tests of this folder; each test keeps to ids of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.running import running_penstock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.running import RunningPenstock

WORKSPACE = """\
sources:
  srv:
    name: Server
    type: server
    write_keys: [srv-key]
"""


@pytest.fixture(scope="session")
def penstock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPenstock]:
    """A Penstock with the server source `srv`."""
    with running_penstock(tmp_path_factory.mktemp("penstock"), WORKSPACE) as running:
        yield running
