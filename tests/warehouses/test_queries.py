"""Users' SQL: what passes, what is refused, the limits, and the server that answers."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from penstock.demo.queries import load_sql
from penstock.errors import EngineUnreachable, QueryRefused
from penstock.warehouses.duckdb import DuckDbWarehouse
from penstock.warehouses.queries import checked
from penstock.warehouses.running import QueryOptions
from penstock.warehouses.service import QueryServer, query_engine
from penstock.warehouses.wire import ask_rows, cancel_query, running_queries
from tests.warehouses.answering import Answers

ENDLESS = "select count(*) from range(10000000000) a, range(1000000) b where a.range + b.range = 7"
EXECUTE = "select * from json_execute_serialized_sql(json_serialize_sql('select 1'))"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def warehouse(folder: Path) -> Iterator[DuckDbWarehouse]:
    folder.mkdir()
    opened = DuckDbWarehouse(folder / "warehouse.duckdb", threads=2)
    opened.connection.execute("create schema web; create table web.t as select range a, 'x' b "
                              "from range(10); checkpoint")  # fmt: skip
    opened.connection.execute("insert into web.t values (10, 'y')")
    yield opened
    opened.close()


@pytest.mark.parametrize(
    "query",
    [
        "select * from json_execute_serialized_sql(json_serialize_sql("
        "'with x as (delete from web.t) select 1'))",
        "select * from query('select * from json_exec'||'ute_serialized_sql(json_serialize_sql("
        "''with x as (delete from web.t) select 1''))')",
        "from query_table('web.t')",
        EXECUTE.replace("json_execute", "JSON_Execute"),
        "select * from \"json_execute_serialized_sql\"('{}')",
        "select * from system.main.json_execute_serialized_sql('{}')",
        f"select (with x as ({EXECUTE}) select count(*) from x)",
        f"select 1 where exists ({EXECUTE})",
        f"select 1 union all {EXECUTE}",
        f"describe {EXECUTE}",
        f"summarize {EXECUTE}",
        f"explain {EXECUTE}",
        f"select * from (pivot ({EXECUTE}) on a in (1) using count(*))",
        f"select 1 order by ({EXECUTE})",
        f"select 1 limit ({EXECUTE})",
        "with x as (delete from web.t) select 1",
        "with x as (delete from web.t returning *) select * from x",
        "with x as (insert into web.t values (99, 'z') returning *) select * from x",
        "with x as (update web.t set a = 0) select 1",
        "explain with x as (delete from web.t) select 1",
        "select (with x as (delete from web.t) select 1)",
        "with x as (copy (select 1) to '{data}/warehouse.duckdb.wal' (use_tmp_file false)) "
        "select 1",
        "explain analyze copy (select 1) to '{data}/warehouse.duckdb' (use_tmp_file false)",
        "explain copy (select 1) to '{data}/warehouse.duckdb'",
        "explain (analyze) copy (select 1) to '{data}/warehouse.duckdb'",
        "/* x */ explain analyze select 1",
        "explain /* x */ analyze select 1",
        "explain explain analyze select 1",
        "explain analyze commit",
        "explain analyze load json",
        "explain analyze checkpoint",
        "explain analyze vacuum",
        "explain analyze prepare p as select 1",
        "explain analyze create temp table x as select 1",
        "explain analyze delete from web.t",
        "from checkpoint()",
        "from force_checkpoint()",
        "from read_blob('{data}/warehouse.duckdb')",
        "from read_text('{data}/warehouse.duckdb.wal')",
        "from read_duckdb('{data}/warehouse.duckdb', table_name := 't')",
        "from glob('{data}/*')",
        "from '{data}/warehouse.duckdb'",
        'from "{data}/warehouse".duckdb',
        "from 'warehouse.duckdb'",
        "describe '{data}/warehouse.duckdb'",
        "from '/etc/passwd.csv'",
        "from enable_logging()",
        "from arrow_scan(1, 2, 3)",
        "from duckdb_secrets()",
        "select write_log('x')",
        "select 'x'.write_log()",
        "select main.WRITE_LOG('x')",
        "select nextval('s')",
        "select sleep_ms(1)",
        "select json_serialize_plan('from web.t')",
        "commit",
        "checkpoint",
        "vacuum",
        "call checkpoint()",
        "pragma database_size",
        "prepare p as select 1",
        "execute p",
        "export database 'x'",
        "create temp table x as select 1",
        "merge into web.t using web.t s on t.a = s.a when matched then delete",
        "begin; delete from web.t; commit",
        "pivot web.t on b using count(*)",
        "select '\udcff'",
        "",
    ],
)
def test_refused(warehouse: DuckDbWarehouse, folder: Path, query: str) -> None:
    before = _contents(folder)
    with pytest.raises(QueryRefused):
        warehouse.query(query.replace("{data}", str(folder)))
    assert _contents(folder) == before
    assert warehouse.query("select count(*) from web.t").column(0).to_pylist() == [11]


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    "query",
    [
        "with x as (select a from web.t), y as materialized (from x) select sum(a) from y",
        "select a, sum(a) over (partition by b order by a rows 2 preceding) from web.t "
        "qualify row_number() over (order by a) < 3",
        "select unnest([1, 2])",
        "select * from unnest([1, 2]) as u(n)",
        "select * from range(3), generate_series(1, 2)",
        "select '{\"a\": [1]}'::json ->> '$.a[0]', json_extract('{}', '$.x')",
        "select * from json_each('{\"a\": 1}')",
        "pivot web.t on b in ('x', 'y') using count(*)",
        "select * from web.t pivot (count(*) for b in ('x', 'y'))",
        "unpivot (select 1 as p, 2 as q) on p, q",
        "select * from web.t l left join web.t r using (a) cross join (values (1)) v(n)",
        "select * from web.t l asof join web.t r on l.a >= r.a",
        "select * from web.t t, lateral (select t.a + 1)",
        "values (1, 'a'), (2, 'b')",
        "select 1 union all by name select 2 as x intersect select 2 as x",
        "with recursive r as (select 1 as n union all select n + 1 from r where n < 5) from r",
        "with recursive r(n, m) using key (n) as (select 1, 1 union select n + 1, 2 from r "
        "where n < 3) from r",
        "from web.t select a",
        "table web.t",
        "from web.t",
        "select distinct on (b) * from web.t order by all limit 50%",
        "select count(*) filter (a > 1), list(a order by a) from web.t group by rollup (b)",
        "select list_transform([1], lambda x: x + 1), {'k': 1}.k, map {'a': 1}",
        "select columns('a') from web.t using sample 3",
        "select * exclude (a) replace ('z' as b) from web.t",
        "select * from information_schema.columns",
        "select * from duckdb_tables()",
        "select * from duckdb_columns",
        "describe web.t",
        "summarize web.t",
        "show tables",
        "show all tables",
        "explain select * from web.t",
        "-- plan\nexplain from web.t;",
        "select x'ff', interval 1 day, date '2026-01-01', 1e3, $$text$$",
        "select 'delete from web.t; drop table web.t', \"a\" from web.t",
    ],
)
def test_passes(warehouse: DuckDbWarehouse, query: str) -> None:
    assert warehouse.query(query).num_columns > 0


@pytest.mark.parametrize(
    "name", sorted(p.stem for p in Path("examples/toastmates/sql").resolve().glob("*.sql"))
)
def test_the_queries_of_the_demo_pass(name: str) -> None:
    assert checked(load_sql(name), "redshift")


def test_refusals_say_why() -> None:
    for query, says in [
        ("from read_csv('x')", "the table function read_csv is not allowed; allowed are duckdb_"),
        ("select write_log('x')", "the function write_log is not allowed"),
        ("from 'x.csv'", "files can't be read: x.csv"),
        ("explain analyze select 1", "use EXPLAIN"),
        ("pivot web.t on b using count(*)", r"ON column IN \(…\)"),
        ("select 1; select 2", "exactly one statement, not 2"),
        ("select " + "(" * 3000 + "1" + ")" * 3000, "depth|deep"),
    ]:
        with pytest.raises(QueryRefused, match=says):
            checked(query, None)
    with pytest.raises(QueryRefused, match=r"deep|not valid"):
        checked("select " + "(" * 3000 + "1" + ")" * 3000, "redshift")


def test_checks_run_in_many_threads() -> None:
    failed: list[BaseException] = []

    def check() -> None:
        try:
            for number in range(50):
                checked(f"select {number}", None)
        except BaseException as error:  # noqa: BLE001
            failed.append(error)

    threads = [threading.Thread(target=check) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


def test_a_result_has_a_largest_size(tmp_path: Path) -> None:
    warehouse = DuckDbWarehouse(tmp_path / "w.duckdb", most_result_bytes=1_048_576)
    with pytest.raises(QueryRefused, match="larger than 1 MB; add a LIMIT, or aggregate"):
        warehouse.query("select range, repeat('x', 1000) from range(100000000000)")
    table = warehouse.query("select range from range(100000)")
    assert table.column(0).to_pylist() == list(range(100_000))
    assert warehouse.query("select 1 as one where false").schema.names == ["one"]
    warehouse.close()


def test_a_query_has_a_longest_time(tmp_path: Path) -> None:
    warehouse = DuckDbWarehouse(tmp_path / "w.duckdb", sql_timeout=2)
    with pytest.raises(QueryRefused, match=r"ran longer than 2 s"):
        warehouse.query(ENDLESS)
    assert warehouse.query("select 1").num_rows == 1
    warehouse.close()


def test_closing_stops_queries(tmp_path: Path) -> None:
    warehouse = DuckDbWarehouse(tmp_path / "w.duckdb")
    said: list[str] = []

    def ask() -> None:
        with pytest.raises(QueryRefused) as refused:
            warehouse.query(ENDLESS)
        said.append(str(refused.value))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    _await(lambda: len(warehouse.readers.running()) == 3)
    warehouse.close()
    for thread in threads:
        thread.join(60)
    assert said == ["the warehouse is closing"] * 3
    with pytest.raises(QueryRefused, match="closing"):
        warehouse.query("select 1")
    duckdb.connect(str(tmp_path / "w.duckdb")).close()


@pytest.mark.parametrize(
    "error", [RecursionError("deep"), MemoryError(), TypeError("\udcff"), pa.ArrowInvalid("bad")]
)
def test_the_server_answers_any_error(tmp_path: Path, error: Exception) -> None:
    def fail(sql: str) -> pa.Table:
        raise error

    server = QueryServer(tmp_path / "s.sock", Answers(fail))
    try:
        with pytest.raises(QueryRefused, match=f"the query failed: {type(error).__name__}"):
            query_engine(tmp_path / "s.sock", "select 1", None, 60)
        with pytest.raises(QueryRefused, match="not Unicode"):
            query_engine(tmp_path / "s.sock", "select '\udcff'", None, 60)
    finally:
        server.close()


def test_a_long_path_leaves_no_descriptor_open(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    table = pa.table({"n": range(300_000), "s": ["text"] * 300_000})
    server = QueryServer(folder / "s.sock", Answers(lambda sql: table))
    try:
        assert query_engine(folder / "s.sock", "select 1", None, 60).equals(table)
        before = _folders_open(folder)
        query_engine(folder / "s.sock", "select 1", None, 60)
        assert _folders_open(folder) == before == 0
    finally:
        server.close()


def _folders_open(folder: Path) -> int:
    numbers = Path("/proc/self/fd").iterdir()
    return sum(os.path.lexists(n) and os.path.realpath(n) == str(folder) for n in numbers)


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(EngineUnreachable):
        query_engine(tmp_path / "none.sock", "select 1", None, 60)


def test_a_result_is_cut_and_says_so(warehouse: DuckDbWarehouse) -> None:
    run = warehouse.readers.run
    for rows, most in ((200_000, 100_000), (200_000, 65_536), (5, 4)):
        table = run(f"select * from range({rows})", None, QueryOptions(max_rows=most))
        assert (table.num_rows, table.schema.metadata) == (most, {b"truncated": b"true"})
    whole = run("select * from range(5)", None, QueryOptions(max_rows=5))
    assert (whole.num_rows, whole.schema.metadata) == (5, None)


def test_a_limit_of_time_can_be_shortened(warehouse: DuckDbWarehouse) -> None:
    with pytest.raises(QueryRefused, match=r"longer than 0\.2 s") as refused:
        warehouse.readers.run(ENDLESS, None, QueryOptions(timeout_s=0.2))
    assert refused.value.code == "sql_timeout"


def test_queries_are_listed_cancelled_and_limited(warehouse: DuckDbWarehouse, folder: Path) -> None:
    socket = folder / "s.sock"
    server = QueryServer(socket, warehouse.readers)
    ends: list[str] = []

    def ask(name: str) -> None:
        try:
            query_engine(socket, ENDLESS, None, 60, QueryOptions(id=name, owner="me"))
        except QueryRefused as refused:
            ends.append(refused.code)

    askers = [threading.Thread(target=ask, args=(f"q{number}",)) for number in range(4)]
    for asker in askers:
        asker.start()
    try:
        _await(lambda: len(running_queries(socket)) == 4)
        assert {(each.owner, each.sql) for each in running_queries(socket)} == {("me", ENDLESS)}
        with pytest.raises(QueryRefused, match="sql_parallel") as busy:
            query_engine(socket, "select 1", None, 60)
        assert busy.value.code == "sql_busy"
        assert ask_rows(socket, "select 1, timestamp '2026-01-05 10:00:00'", 60) == [
            [1, "2026-01-05T10:00:00"]
        ], "Penstock's own questions are not kept out"
        assert not cancel_query(socket, "nope") and not cancel_query(socket, "")
        assert all(cancel_query(socket, f"q{number}") for number in range(4))
        for asker in askers:
            asker.join(60)
        assert ends == ["sql_cancelled"] * 4
        assert running_queries(socket) == []
        assert query_engine(socket, "select 1", None, 60).num_rows == 1
    finally:
        warehouse.readers.close()
        server.close()


def test_a_long_statement_is_not_looked_at(warehouse: DuckDbWarehouse) -> None:
    long = f"select 1 where 1 in ({'1,' * 40_000}1)"
    with pytest.raises(QueryRefused, match="80,023 characters") as refused:
        warehouse.query(long)
    assert refused.value.code == "sql_too_large"
    assert warehouse.readers.run(long, None, QueryOptions(internal=True)).num_rows == 1
    grows = f"select {', '.join(['ifnull(a, 1)'] * 4_300)} from web.t"
    with pytest.raises(QueryRefused, match="characters") as grown:
        warehouse.query(grows, "mysql")
    assert grown.value.code == "sql_too_large"


def test_one_statement_is_checked_at_a_time_and_takes_room(
    warehouse: DuckDbWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, go = threading.Event(), threading.Event()

    def slow(sql: str, dialect: str | None) -> str:
        if sql == "select 1":
            entered.set()
            assert go.wait(60)
        return sql

    monkeypatch.setattr("penstock.warehouses.queries.checked", slow)
    run = warehouse.readers.run
    first = threading.Thread(target=run, args=("select 1", None))
    first.start()
    try:
        assert entered.wait(60)
        assert [each.sql for each in warehouse.readers.running()] == ["select 1"]
        with pytest.raises(QueryRefused, match="being checked") as busy:
            run("select 2", None, QueryOptions(timeout_s=0.1))
        assert busy.value.code == "sql_busy"
        assert run("select 3", None, QueryOptions(internal=True)).num_rows == 1
    finally:
        go.set()
        first.join()
    assert run("select 2", None).num_rows == 1


def _await(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)
