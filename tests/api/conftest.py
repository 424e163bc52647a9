"""One real Penstock for all tests of the API, and clients of several kinds."""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.api.calling import Client
from tests.running import RunningPenstock

WORKSPACE = """
sources:
  shop: {name: Shop, type: server, write_keys: [shop-key]}
"""


@pytest.fixture(scope="session")
def penstock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPenstock]:
    """A Penstock whose first start gave a token; a few events are in it."""
    folder = tmp_path_factory.mktemp("api")
    running = RunningPenstock(folder, settings={"PENSTOCK_SQL_TIMEOUT": "60s"})
    running.apply(WORKSPACE)
    try:
        running.start()
        _send(running, "/v1/track", b'{"event":"Toast Buttered","userId":"u1","messageId":"m1",'
              b'"properties":{"slices":2}}')  # fmt: skip
        _send(running, "/v1/track", b'{"event":"Toast Burnt"}')
        running.wait_for("select 1 from shop.toast_buttered")
        yield running
        assert running.stop() == 0
    finally:
        running.close()


def _send(running: RunningPenstock, path: str, body: bytes) -> None:
    request = urllib.request.Request(
        f"{running.url}{path}", body, {"Authorization": "Basic c2hvcC1rZXk6"}
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60):
        pass


@pytest.fixture(scope="session")
def first_token(penstock: RunningPenstock) -> str:
    """The token that the greeting of the first start shows."""
    return shown_token(penstock)


def shown_token(running: RunningPenstock) -> str:
    """The token in a greeting."""
    found = re.search(r"shown this once:\n\n  (pst_\S{43})\n", running.greeting())
    assert found, running.log_tail()
    return found[1]


@pytest.fixture(scope="session")
def admin(penstock: RunningPenstock, first_token: str) -> Client:
    """An administrator."""
    return answering(Client(penstock.console_url, first_token))


@pytest.fixture(scope="session")
def nobody(admin: Client) -> Client:
    """Without a token."""
    return Client(admin.url)


@pytest.fixture(scope="session")
def with_scopes(admin: Client) -> Callable[..., Client]:
    """A client whose token has just these scopes."""
    known: dict[tuple[str, ...], Client] = {}

    def made(*scopes: str) -> Client:
        if scopes not in known:
            body = {"name": "test", "scopes": list(scopes)}
            known[scopes] = admin.with_token(admin("POST", "/tokens", body).body["secret"])
        return known[scopes]

    return made


def answering(client: Client) -> Client:
    """The same client, once the API answers it."""
    deadline = time.monotonic() + 60
    while True:
        try:
            if client("GET", "/me").status == 200:
                return client
        except OSError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="session")
def folder(penstock: RunningPenstock) -> Path:
    """Its data folder."""
    return penstock.data
