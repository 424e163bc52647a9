"""``penstock sql``: formats, dialects, what is refused, with and without an engine."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.cli.tables import as_table
from penstock.engine import DataFolderLock
from penstock.settings import Settings
from penstock.warehouses.duckdb import DuckDbWarehouse
from penstock.warehouses.service import QueryServer
from tests.cli.conftest import Run
from tests.project.reference import DOCS, ROOT, samples
from tests.warehouses.answering import Answers

BY_USER = "select user_id, sum(slices) as slices from web.toast_buttered group by 1 order by 1"
ALL = "select * from web.toast_buttered order by id"


def test_a_table_for_people(run: Run, data: Path) -> None:
    done = run("sql", BY_USER, "--data", data)
    assert (done.code, done.err) == (0, "")
    assert done.text == "user_id │ slices\n────────┼───────\nu1      │      2\nu2      │      3\n"


def test_csv(run: Run, data: Path) -> None:
    done = run("sql", "select slices, fresh, toppings, note from web.toast_buttered order by id",
               "--format", "csv", "--data", data)  # fmt: skip
    assert list(csv.reader(io.StringIO(done.text))) == [
        ["slices", "fresh", "toppings", "note"],
        ["2", "true", '["jam"]', ""],
        ["3", "", "", 'äöü, "quoted"\nand broken'],
        ["", "", "", ""],
    ]


def test_json_has_exact_numbers_and_no_nan(run: Run, data: Path) -> None:
    query = (
        "select sum(slices) as whole, 19.99::decimal(9,2) as money, 'nan'::double as odd, "
        "timestamp '2026-01-05 10:00:00' as at, [1, 2] as list, 1 as twice, 2 as twice "
        "from web.toast_buttered"
    )
    done = run("sql", query, "--format", "json", "--data", data)
    assert done.text == (
        '[{"whole":5,"money":19.99,"odd":null,"at":"2026-01-05T10:00:00","list":[1,2],'
        '"twice":1,"twice_1":2}]\n'
    )
    assert run("sql", ALL + " limit 0", "--format", "json", "--data", data).text == "[]\n"


FAR = (
    "select 'infinity'::timestamp as a, '-infinity'::timestamptz as b, 'infinity'::date as c, "
    "timestamp '12026-01-05 10:00:00.5' as d, timestamptz '12026-01-05 10:00:00' as e, "
    "date '0044-03-15 (BC)' as f, [timestamp '12026-01-05 10:00:00'] as g, "
    "{'at': date '12026-02-03'} as h, timestamp_ns '2026-01-05 10:00:00.123456789' as i, "
    "null::timestamp as j, timestamp '2026-01-05 10:00:00' as k "
    "union all by name select timestamp '2026-01-05 10:00:00.5' as a"
)


def test_times_that_python_does_not_have(run: Run, data: Path) -> None:
    done = run("sql", FAR, "--format", "csv", "--data", data)
    assert list(csv.reader(io.StringIO(done.text)))[1:] == [
        [
            "infinity", "-infinity", "infinity", "12026-01-05 10:00:00.500000",
            "12026-01-05 10:00:00+00:00", "0044-03-15 (BC)", '["12026-01-05 10:00:00"]',
            '{"at":"12026-02-03"}', "2026-01-05 10:00:00.123456789", "", "2026-01-05 10:00:00",
        ],
        ["2026-01-05 10:00:00.500000", *[""] * 10],
    ]  # fmt: skip
    rows = json.loads(run("sql", FAR, "--format", "json", "--data", data).text)
    assert rows[0]["a"] == "infinity"
    assert rows[0]["d"] == "12026-01-05T10:00:00.500000"
    assert rows[0]["e"] == "12026-01-05T10:00:00Z"
    assert rows[1]["a"] == "2026-01-05T10:00:00.500000"
    assert "12026-01-05 10:00:00.500000" in run("sql", FAR, "--data", data).text


def test_parquet_keeps_the_types(run: Run, data: Path, tmp_path: Path) -> None:
    done = run("sql", ALL, "--format", "parquet", "--data", data)
    table = pq.read_table(io.BytesIO(done.out))
    assert table.column("slices").to_pylist() == [2, 3, None]
    assert str(table.schema.field("received_at").type) == "timestamp[us]"
    file = tmp_path / "out.parquet"
    assert run("sql", ALL, "--format", "parquet", "-o", file, "--data", data).out == b""
    assert pq.read_table(file).num_rows == 3


def test_output_goes_to_a_file(run: Run, data: Path, tmp_path: Path) -> None:
    file = tmp_path / "out.txt"
    assert run("sql", BY_USER, "-o", file, "--data", data).out == b""
    assert file.read_text().startswith("user_id │ slices\n")
    done = run("sql", BY_USER, "-o", tmp_path / "no" / "folder", "--data", data)
    assert done.code == 1
    assert "No such file or directory" in done.err


def test_no_rows_are_said(run: Run, data: Path) -> None:
    assert run("sql", "select 1 as one where false", "--data", data).err == "no rows\n"


def test_from_a_file_and_redshift(run: Run, data: Path, tmp_path: Path) -> None:
    file = tmp_path / "query.sql"
    file.write_text(
        "-- what a guide says\nselect nvl(sum(slices), 0) as n from web.toast_buttered;"
    )
    done = run("sql", "--dialect", "redshift", "-f", file, "--format", "json", "--data", data)
    assert json.loads(done.out) == [{"n": 5}]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("insert into web.tracks (id) values ('x')", "only statements that read"),
        ("update web.tracks set id = 'x'", "only statements that read"),
        ("drop table web.tracks", "only statements that read"),
        ("create table x as select 1", "only statements that read"),
        ("select 1; select 2", "exactly one statement"),
        ("", "exactly one statement"),
        ("select * from read_text('/etc/passwd')", "function read_text is not allowed"),
        ("select * from read_csv('/etc/passwd')", "function read_csv is not allowed"),
        ("select * from '/etc/passwd.csv'", "files can't be read"),
        ("select * from glob('/etc/*')", "function glob is not allowed"),
        ("attach '/tmp/other.duckdb'", "only statements that read"),
        ("copy web.tracks to '/tmp/tracks.csv'", "only statements that read"),
        ("set memory_limit = '1GB'", "only statements that read"),
        ("pragma database_list", "only statements that read"),
        ("install httpfs", "only statements that read"),
        ("load httpfs", "only statements that read"),
        ("selec 1", "syntax error"),
        ("select * from web.nothing", "does not exist"),
    ],
)
def test_refused(run: Run, data: Path, query: str, says: str) -> None:
    done = run("sql", query, "--data", data)
    assert (done.code, done.out) == (1, b"")
    assert done.err.startswith("penstock: ")
    assert says in done.err
    assert run("sql", "select count(*) from web.tracks", "--data", data).code == 0


def test_an_unknown_dialect_names_the_known_ones(run: Run, data: Path) -> None:
    done = run("sql", "select 1", "--dialect", "klingon", "--data", data)
    assert done.code == 1
    assert "redshift" in done.err


@pytest.mark.parametrize(
    "arguments",
    [(), ("select 1", "-f", "x.sql"), ("select 1", "--format", "xml"), ("select 1", "--formt")],
)
def test_wrong_use(run: Run, data: Path, arguments: tuple[str, ...]) -> None:
    done = run("sql", *arguments, "--data", data)
    assert (done.code, done.out) == (2, b"")
    assert "Usage: penstock sql" in done.err


def test_a_missing_file_and_a_missing_warehouse(run: Run, data: Path, tmp_path: Path) -> None:
    assert "can't read" in run("sql", "-f", tmp_path / "no.sql", "--data", data).err
    done = run("sql", "select 1", "--data", tmp_path / "none")
    assert done.code == 1
    assert "no warehouse in" in done.err
    assert not (tmp_path / "none").exists()


def test_through_a_running_engine(run: Run, data: Path) -> None:
    settings = Settings(data=data)
    lock = DataFolderLock(settings.run_folder)
    warehouse = DuckDbWarehouse(settings.warehouse_file, threads=1)
    server = QueryServer(settings.run_folder / "warehouse.sock", warehouse.readers)
    try:
        assert run("sql", BY_USER, "--data", data).text.endswith("u2      │      3\n")
        refused = run("sql", "drop table web.tracks", "--data", data)
        assert refused.code == 1
        assert "only statements that read" in refused.err
    finally:
        server.close()
        warehouse.close()
        lock.release()
    assert run("sql", BY_USER, "--data", data).text.endswith("u2      │      3\n")


@pytest.mark.parametrize(
    "page", ["README.md", "docs/guides/first-event.md", "docs/guides/query.md"]
)
def test_queries_of_the_documentation_run(run: Run, data: Path, page: str) -> None:
    queries = []
    for sample in samples(ROOT / page, "console"):
        for line in sample.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "))
            if words[:2] in (["penstock", "sql"], [".venv/bin/penstock", "sql"]):
                queries.append([word for word in words[2:] if word not in ("--data", "./my-data")])
    assert queries
    for words in queries:
        if "-f" not in words:  # the demo's own tests run its files
            done = run("sql", *words, "--data", data)
            told = f"wrote 3 rows as {words[-3]} to {words[-1]}\n" if "-o" in words else ""
            assert (done.code, done.err) == (0, told), words


def test_a_table_wider_than_the_terminal_becomes_records() -> None:
    names = ["a", "long_name"]
    rows: list[list[object]] = [[1, "x" * 20], [None, "two\nlines"]]
    assert max(map(len, as_table(names, rows, width=40).splitlines())) <= 40
    assert as_table(names, rows, width=20) == (
        f"── row 1 ──\na         │ 1\nlong_name │ {'x' * 20}\n"
        "── row 2 ──\na         │\nlong_name │ two\n          │ lines\n"
    )


def test_a_table_can_not_move_the_cursor_and_knows_wide_letters() -> None:
    text = as_table(["a", "b"], [["\x1b[2Jé", "x"], ["日本", "y"]])
    assert "\x1b" not in text
    assert "\\x1b[2Jé │ x\n日本     │ y\n" in text
    assert not re.search(r" \n", as_table(["a", "b"], [["x", None]]))


def test_the_reference_lists_the_formats() -> None:
    page = (DOCS / "guides" / "query.md").read_text()
    assert all(f"| `{name}` |" in page for name in ("table", "csv", "json", "parquet"))


def test_a_query_is_asked_once(run: Run, data: Path) -> None:
    settings = Settings(data=data)
    asked: list[str] = []

    def fail(sql: str) -> pa.Table:
        asked.append(sql)
        raise RecursionError("too deep")

    lock = DataFolderLock(settings.run_folder)
    server = QueryServer(settings.run_folder / "warehouse.sock", Answers(fail))
    try:
        done = run("sql", "select 1", "--data", data)
    finally:
        server.close()
        lock.release()
    assert (done.code, asked) == (1, ["select 1"])
    assert "RecursionError: too deep" in done.err
