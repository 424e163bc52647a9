"""``penstock.connect``: a folder at rest, a running engine, and the management API."""

from __future__ import annotations

import builtins
import sys
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import penstock
from penstock.errors import EngineUnreachable, PenstockError, QueryRefused, WarehouseError
from tests.backup.small import Small, record
from tests.running import RunningPenstock, free_ports

QUERY = "select id, user_id from web.tracks order by id"
ROWS = [{"id": "a", "user_id": "u1"}, {"id": "b", "user_id": "u1"}]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    small = Small(tmp_path_factory.mktemp("client") / "data")
    small.state()
    small.receive(record("a", 1), record("b", 2))
    small.catch_up()
    return small.settings.data


@pytest.fixture(scope="module")
def running(data: Path) -> Iterator[RunningPenstock]:
    engine = RunningPenstock(data.parent)
    try:
        engine.start()
        engine.wait_for("select 1 from web.tracks")
        engine.wait_for_api()
        yield engine
        assert engine.stop() == 0
    finally:
        engine.close()


def test_a_folder_at_rest(data: Path) -> None:
    result = penstock.connect(data).sql(QUERY)
    assert result.rows() == ROWS
    assert len(result) == 2
    assert isinstance(result.arrow(), pa.Table)
    assert result.arrow().column_names == ["id", "user_id"]


def test_a_folder_without_a_warehouse(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="no warehouse"):
        penstock.connect(str(tmp_path)).sql("select 1")


def test_the_folder_of_the_environment(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_DATA", str(data))
    assert penstock.connect().sql("select nvl(null, 3) n", dialect="redshift").rows() == [{"n": 3}]


def test_pandas_missing_is_said_with_the_command(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == "pandas":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.delitem(sys.modules, "pandas", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(PenstockError, match=r"pip install 'penstock\[pandas\]'"):
        penstock.connect(data).sql(QUERY).pandas()


def test_a_running_engine(running: RunningPenstock) -> None:
    assert penstock.connect(running.data).sql(QUERY).rows() == ROWS


def test_the_management_api(running: RunningPenstock) -> None:
    shop = penstock.connect(running.console_url, token=running.wait_for_api())
    assert shop.sql(QUERY).rows() == ROWS
    assert len(shop.sql("select * from range(20000)")) == 20_000, "nothing is cut"
    with pytest.raises(QueryRefused, match="only statements that read"):
        shop.sql("drop table web.tracks")


def test_the_token_of_the_environment(
    running: RunningPenstock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_TOKEN", running.wait_for_api())
    assert penstock.connect(f"{running.console_url}/").sql("select 1 n").rows() == [{"n": 1}]


def test_a_wrong_token_is_told(running: RunningPenstock) -> None:
    with pytest.raises(PenstockError, match="give a token") as refused:
        penstock.connect(running.console_url, token="nobody").sql(QUERY)
    assert isinstance(refused.value.__cause__, urllib.error.HTTPError)


def test_nobody_at_the_address() -> None:
    (port,) = free_ports(1)
    with pytest.raises(EngineUnreachable, match=str(port)):
        penstock.connect(f"http://127.0.0.1:{port}", token="t").sql("select 1")
