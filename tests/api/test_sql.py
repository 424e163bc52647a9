"""SQL through the API: formats, limits, cancelling, and what it can't do."""

from __future__ import annotations

import csv
import io
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from penstock.cli.main import app
from penstock.errors import QueryRefused
from tests.api.calling import Answer, Client
from tests.api.conftest import answering, shown_token
from tests.running import RunningPenstock

ARROW = "application/vnd.apache.arrow.stream"
ENDLESS = "select count(*) from range(10000000000) a, range(1000000) b where a.range + b.range = 7"
ROWS = "select range as n, 19.99::decimal(9,2) as money, 'nan'::double as odd from range(3)"


def _sql(client: Client, statement: str, accept: str = "*/*", **fields: object) -> Answer:
    body = {"statement": statement, **fields}
    return client("POST", "/sql", body, headers={"Accept": accept})


def test_json(admin: Client) -> None:
    answer = _sql(admin, ROWS)
    assert answer.headers["content-type"] == "application/json"
    assert b"[0,19.99,null]" in answer.content, "numbers are exact"
    assert [column["name"] for column in answer.body["columns"]] == ["n", "money", "odd"]
    assert (len(answer.body["rows"]), answer.body["truncated"]) == (3, False)
    assert answer.headers["penstock-query-id"] == answer.body["id"]


@pytest.mark.parametrize("accept", ["text/csv", "text/csv;q=0.9, application/json;q=0.1"])
def test_csv(admin: Client, accept: str) -> None:
    answer = _sql(admin, ROWS, accept, limit=2)
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["penstock-truncated"] == "true"
    assert list(csv.reader(io.StringIO(answer.content.decode())))[1:] == [
        ["0", "19.99", "nan"], ["1", "19.99", "nan"],
    ]  # fmt: skip


def test_arrow(admin: Client) -> None:
    answer = _sql(admin, "select * from range(50000)", "application/vnd.apache.arrow.stream",
                  limit=None)  # fmt: skip
    assert pa.ipc.open_stream(answer.content).read_all().num_rows == 50_000
    assert _sql(admin, ROWS, "text/html").code == "not_acceptable"


def test_dialects(admin: Client) -> None:
    assert _sql(admin, "select nvl(null, 1) as a", dialect="redshift").body["rows"] == [[1]]
    assert _sql(admin, "select 1", dialect="klingon").code == "sql_refused"


@pytest.mark.parametrize(
    "statement",
    [
        "delete from shop.tracks",
        "insert into shop.tracks (id) values ('x')",
        "create table shop.x as select 1",
        "with x as (delete from shop.tracks returning *) select * from x",
        "drop schema shop cascade",
        "copy shop.tracks to '{folder}/out.csv'",
        "select * from read_text('{folder}/run/cli.token')",
        "select * from '{folder}/state.sqlite'",
        "from read_csv('/etc/passwd')",
        "select * from read_csv('http://127.0.0.1:{port}/health')",
        "from 'http://127.0.0.1:{port}/health'",
        "select * from glob('/*')",
        "select getenv('HOME')",
        "attach '{folder}/state.sqlite' as s (type sqlite)",
        "install httpfs",
        "load httpfs",
        "set enable_external_access = true",
        "pragma database_list",
        "checkpoint",
        "call pragma_version()",
        "select 1; drop schema shop cascade",
        "explain analyze delete from shop.tracks",
        "select * from json_execute_serialized_sql(json_serialize_sql('select 1'))",
    ],
)
def test_it_only_reads_and_only_the_warehouse(admin: Client, folder: Path, statement: str) -> None:
    before = _sql(admin, "select count(*) from shop.tracks").body["rows"]
    port = admin.url.rpartition(":")[2]
    answer = _sql(admin, statement.format(folder=folder, port=port))
    assert (answer.status, answer.code) == (400, "sql_refused"), answer.body
    assert not (folder / "out.csv").exists()
    assert _sql(admin, "select count(*) from shop.tracks").body["rows"] == before == [[1]]


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """An administrator of a Penstock where a query may take one second."""
    settings = {"PENSTOCK_SQL_TIMEOUT": "1s"}
    running = RunningPenstock(tmp_path_factory.mktemp("hurried"), settings=settings)
    try:
        running.start()
        yield answering(Client(running.console_url, shown_token(running)))
        assert running.stop() == 0
    finally:
        running.close()


@pytest.mark.parametrize(("timeout", "limit"), [(0.3, "0.3 s"), (None, "1 s"), (1000, "1 s")])
def test_it_cant_outlive_its_limit(hurried: Client, timeout: float | None, limit: str) -> None:
    began = time.monotonic()
    answer = _sql(hurried, ENDLESS, timeout_s=timeout)
    assert (answer.status, answer.code) == (400, "sql_timeout")
    assert f"longer than {limit}" in answer.body["error"]["message"]
    assert time.monotonic() - began < 30


def test_a_query_is_cancelled_by_its_owner_or_a_manager(
    admin: Client, with_scopes: Callable[..., Client]
) -> None:
    reader, other = with_scopes("sql:read"), with_scopes("sql:read", "status:read")
    for number, end in enumerate((reader, admin)):
        query_id = f"endless-{number}"
        answers: list[Answer] = []
        asker = threading.Thread(
            target=lambda query_id, answers: answers.append(_sql(reader, ENDLESS, id=query_id)),
            args=(query_id, answers),
        )
        asker.start()
        _await_running(reader, {query_id})
        assert query_id in _ids(admin) and query_id not in _ids(other)
        assert other("DELETE", f"/sql/queries/{query_id}").code == "not_found"
        assert end("DELETE", f"/sql/queries/{query_id}").status == 204
        asker.join()
        assert (answers[0].status, answers[0].code) == (409, "sql_cancelled")
        assert end("DELETE", f"/sql/queries/{query_id}").code == "not_found"


@pytest.mark.parametrize("accept", ["application/json", "text/csv"])
@pytest.mark.parametrize(
    "statement", ["select true from range(2000001)", "select range(2000000)",
                  "select repeat('x', 1000000) from range(70)"],
)  # fmt: skip
def test_text_of_too_many_values_is_refused(admin: Client, statement: str, accept: str) -> None:
    answer = _sql(admin, statement, accept, limit=None)
    assert (answer.status, answer.code) == (400, "sql_too_large")
    assert "add a limit" in answer.body["error"]["message"]
    assert _sql(admin, statement, ARROW, limit=None).status == 200


def test_a_long_statement_is_refused(admin: Client, folder: Path) -> None:
    long = f"select 1 where 1 in ({'1,' * 40_000}1)"
    assert _sql(admin, long).code == "invalid_request"
    file = folder.parent / "long.sql"
    file.write_text(long)
    told = CliRunner().invoke(app, ["sql", "-f", str(file), "--data", str(folder)])
    assert isinstance(told.exception, QueryRefused) and "65,536" in str(told.exception)


def _ids(client: Client) -> set[str]:
    return {query["id"] for query in client("GET", "/sql/queries").body["items"]}


def _await_running(client: Client, ids: set[str]) -> None:
    deadline = time.monotonic() + 60
    while not ids <= _ids(client):
        assert time.monotonic() < deadline


def test_one_more_than_may_is_told_to_come_back(admin: Client) -> None:
    answers: list[Answer] = []
    names = [f"many-{number}" for number in range(4)]
    askers = [
        threading.Thread(
            target=lambda name: answers.append(_sql(admin, ENDLESS, id=name)), args=[n]
        )
        for n in names
    ]
    for asker in askers:
        asker.start()
    _await_running(admin, set(names))
    busy = _sql(admin, ENDLESS)
    assert (busy.status, busy.code) == (429, "sql_busy")
    assert busy.headers["retry-after"]
    for name in names:
        assert admin("DELETE", f"/sql/queries/{name}").status == 204
    for asker in askers:
        asker.join()
    assert [answer.code for answer in answers] == ["sql_cancelled"] * 4
