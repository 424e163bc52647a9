"""``penstock backfill``: rows of a table that the warehouse does not have yet."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from penstock.cli.options import DataOption, JsonOption, UsageError, command_line, printable
from penstock.cli.warehouse import run_query
from penstock.engine import DataFolderLock, is_running
from penstock.errors import PenstockError, WarehouseError
from penstock.settings import Settings, load_settings
from penstock.warehouses.wire import Wanted, begin_backfill

__all__ = ["backfill"]

_PAUSE_S = 0.3


def backfill(
    table: Annotated[
        str, typer.Argument(metavar="<source.table>", help="Such as toastmates.order_completed.")
    ],
    since: Annotated[
        str | None,
        typer.Option(metavar="<date>", help="Only events received from this day or instant on."),
    ] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fill a table of the warehouse from the journal, while Penstock runs or not.

    Adds the rows that are not there: after an event or property was left out by selective sync
    and is wanted again, or after a table was dropped. Rows that are there stay as they are. The
    journal holds events for events_retention.

    Example: penstock backfill toastmates.order_completed --since 2026-01-01
    """
    settings = load_settings({"data": data})
    source, dot, name = table.partition(".")
    if not (source and dot and name):
        raise UsageError("name a table as source.table, such as toastmates.order_completed")
    wanted = Wanted(source, name, _micros(since))
    added = _through_engine(settings, wanted) if is_running(settings) else _alone(settings, wanted)
    if as_json:
        typer.echo(json.dumps({"source": source, "table": name, "added": added}))
    else:
        typer.echo(f"{printable(table)}: {added:,} rows added")


def _through_engine(settings: Settings, wanted: Wanted) -> int:
    number = begin_backfill(settings.socket_file, wanted)
    while True:
        rows = run_query(
            settings,
            "SELECT count(*) FILTER (state = 'running'), sum(added), "
            f"max(note) FROM penstock.backfills WHERE id = {number}",
        ).to_pylist()
        running, added, note = rows[0].values()
        if not running:
            return _ended(added, note)
        time.sleep(_PAUSE_S)


def _alone(settings: Settings, wanted: Wanted) -> int:
    from penstock.glance import SyncRules
    from penstock.journal.sqlite import SqliteJournal
    from penstock.warehouses.backfill import Backfills
    from penstock.warehouses.duckdb import DuckDbWarehouse

    if not settings.warehouse_file.exists():
        start = command_line("up", settings)
        raise PenstockError(f"no warehouse in {settings.data}: start `{start}` first")
    lock = DataFolderLock(settings.run_folder, engine=False)
    journal = SqliteJournal(settings.journal_folder)
    try:
        warehouse = DuckDbWarehouse(
            settings.warehouse_file,
            memory=settings.warehouse_memory,
            selective=SyncRules(settings.state_file, settings.warehouse_id),
        )
        try:
            backfills = Backfills(journal, warehouse)
            number = backfills.begin(wanted)
            while backfills.step():
                pass
            found = warehouse.connection.execute(
                "SELECT sum(added), max(note) FROM penstock.backfills WHERE id = ?", [number]
            ).fetchone()
        finally:
            warehouse.close()
    finally:
        journal.close()
        lock.release()
    return _ended(*(found or (0, "")))


def _ended(added: Any, note: Any) -> int:
    if note:
        raise WarehouseError(f"the backfill failed: {note}")
    return int(added or 0)


def _micros(text: str | None) -> int:
    if text is None:
        return 0
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError("--since: a day such as 2026-01-31, or an instant") from error
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(aware.timestamp() * 1_000_000)
