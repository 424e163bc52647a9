"""One running Penstock and one shop for all tests of this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.chromium import Shop, bundled_sdk
from tests.requirements import require_tool
from tests.running import running_penstock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.running import RunningPenstock

WORKSPACE = """\
sources:
  web:
    name: Web
    type: browser
    write_keys: [web-key]
"""


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A web site with the SDK bundled in; skips what follows where no browser is."""
    require_tool("chromium")
    with Shop(bundled_sdk(tmp_path_factory.mktemp("bundle") / "bundle.js")) as shop:
        yield shop


@pytest.fixture(scope="session")
def penstock(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPenstock]:
    """A Penstock with the browser source `web`; `shop` first, as it may skip."""
    with running_penstock(tmp_path_factory.mktemp("penstock"), WORKSPACE) as running:
        yield running
