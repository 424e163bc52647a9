"""The bodies of the processes that the engine supervises. Each imports only what it needs."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import msgspec

from penstock import logs
from penstock.errors import HOPELESS, FormatTooNew, PenstockError, WarehouseError, WarehouseInvalid
from penstock.gauges import (
    LoadTally,
    Reporter,
    deliver_page,
    ledger_page,
    load_page,
    process_page,
    profiles_page,
)
from penstock.metrics import Page, SnapshotFile
from penstock.settings import Settings, load_settings, role_label

if TYPE_CHECKING:
    from penstock.destinations.delivery.records import Figures
    from penstock.destinations.functions.sources import SourceFunctions
    from penstock.workspace.store import Workspace

__all__ = ["ROLES", "main"]

log = logs.get("penstock.engine")
_IDLE_S = 0.05
_MAINTENANCE_S = 60.0
_MOST_DOUBLINGS = 10
_SNAPSHOT_AGAIN_S = 30.0
_ASK_S = 10.0
"""How long the monitor waits for the warehouse."""


def collect(settings: Settings, stop: threading.Event, partition: int) -> None:
    """Serve HTTP and write ``received``."""
    from penstock.glance import SourceSetups
    from penstock.ingest.server import run_collector
    from penstock.journal.sqlite import SqliteJournal

    def open_workspace() -> Workspace:
        from penstock.workspace.store import Workspace  # takes memory that many do without

        return Workspace.of(settings)

    signal.signal(signal.SIGTERM, _leave)  # until the HTTP server puts handlers of its own
    if stop.is_set():
        return
    journal = SqliteJournal(settings.journal_folder, segment_bytes=settings.segment_bytes)
    sources = SourceSetups(settings.state_file, open_workspace)
    run_collector(settings, partition, journal, sources)


def process(settings: Settings, stop: threading.Event, partition: int) -> None:
    """Read ``received``, drop duplicates, write ``events``."""
    from penstock.destinations.functions.states import StateFile
    from penstock.journal.contract import COUNTS, EVENTS, RECEIVED, REJECTED
    from penstock.journal.sqlite import SqliteJournal
    from penstock.process.dedupe import DedupeIndex
    from penstock.process.worker import ProcessWorker

    del partition
    functions = _source_functions(settings)
    states = StateFile(settings.run_folder, "process")
    journal = SqliteJournal(settings.journal_folder, segment_bytes=settings.segment_bytes)
    if not settings.profiles:
        for file in settings.profiles_folder.glob("*.sqlite"):
            journal.forget(f"profiles:{file.stem}", EVENTS)
    index = DedupeIndex(settings.data / "dedupe", settings.dedupe_window)
    worker = ProcessWorker(journal, index, screen=functions)
    ages = {
        RECEIVED: settings.received_retention,
        EVENTS: settings.events_retention,
        COUNTS: settings.events_retention,
        REJECTED: settings.rejected_retention,
    }

    def maintain() -> None:
        worker.commit()
        for topic, age in ages.items():
            for line in journal.expire(topic, age, settings.journal_max_bytes):
                log.info("a journal segment expired", segment=line)

    watched = SqliteJournal(settings.journal_folder)
    report = Reporter(
        settings, "process", watched, lambda: process_page(worker.processed, worker.duplicates)
    )

    def tell() -> None:
        report()
        states.write(functions.states)

    _loop(stop, worker.step, maintain, tell, pause_s=0.0)
    worker.close()
    functions.close()
    index.close()
    watched.close()
    journal.close()


def _source_functions(settings: Settings) -> SourceFunctions:
    from penstock.destinations.functions.chain import Place
    from penstock.destinations.functions.sources import SourceFunctions
    from penstock.glance import FunctionSetups

    setups = FunctionSetups(settings.state_file, settings.secret_key_file)
    place = Place(settings.functions_root, settings.allow_private_destinations)
    return SourceFunctions(setups, place)


def warehouse(settings: Settings, stop: threading.Event, partition: int) -> None:
    """Load ``events`` into the warehouse, and answer queries."""
    _do_without("numpy")  # Arrow would load it: 12 MB, and buffers for each thread
    from penstock.glance import SyncRules
    from penstock.journal.sqlite import SqliteJournal
    from penstock.warehouses.backfill import Backfills
    from penstock.warehouses.copies import CopyServer
    from penstock.warehouses.duckdb import DuckDbWarehouse
    from penstock.warehouses.idling import Idling
    from penstock.warehouses.loader import Loader
    from penstock.warehouses.service import QueryServer

    del partition
    sys.setrecursionlimit(10_000)  # as deep as the collector lets JSON be
    gc.set_threshold(200_000, 20, 100)  # events make many objects, and no cycles
    journal = SqliteJournal(settings.journal_folder, segment_bytes=settings.segment_bytes)
    engine = DuckDbWarehouse(
        settings.warehouse_file,
        memory=settings.warehouse_memory,
        threads=settings.warehouse_threads or max((os.cpu_count() or 2) // 2, 1),
        warehouse_id=settings.warehouse_id,
        sql_timeout=settings.sql_timeout.total_seconds(),
        sql_parallel=settings.sql_parallel,
        selective=SyncRules(settings.state_file, settings.warehouse_id),
    )
    loader = Loader(journal, engine, chunk=settings.warehouse_chunk)
    backfills = Backfills(journal, engine)
    server = QueryServer(settings.socket_file, engine.readers, backfills.start)
    copies = CopyServer(settings.copies_socket, engine.checkpoints.held)

    tally, idling = LoadTally(), Idling()

    def step() -> int:
        began = time.monotonic()
        loaded = loader.step()
        filled = backfills.step()
        idling(filled + (0 if loaded is None else loaded.events))
        if loaded is None:
            return filled
        tally.add(loaded, time.monotonic() - began)
        return loaded.events

    def maintain() -> None:
        tally.compacted += engine.compact(settings.compact_every)

    watched = SqliteJournal(settings.journal_folder)
    report = Reporter(settings, "warehouse", watched, lambda: load_page(tally))
    _loop(stop, step, maintain, report, pause_s=settings.warehouse_interval.total_seconds())
    watched.close()
    server.close()
    copies.close()
    loader.close()
    engine.close()
    journal.close()


def deliver(settings: Settings, stop: threading.Event, partition: int) -> None:
    """Send ``events`` to the destinations; ends when there is none to send to."""
    from penstock.destinations.delivery.role import run_deliver
    from penstock.destinations.functions.before import DestinationFunctions
    from penstock.destinations.functions.chain import Place
    from penstock.destinations.functions.states import StateFile
    from penstock.glance import FunctionSetups
    from penstock.journal.sqlite import SqliteJournal
    from penstock.workspace.audit import Actor
    from penstock.workspace.store import Workspace

    del partition
    gc.set_threshold(50_000, 20, 100)  # events make many objects, and few cycles
    journal = SqliteJournal(settings.journal_folder, segment_bytes=settings.segment_bytes)
    watched = SqliteJournal(settings.journal_folder)
    workspace = Workspace.of(settings)
    by = Actor("command", "deliver")

    functions = DestinationFunctions(
        FunctionSetups(settings.state_file, settings.secret_key_file),
        Place(settings.functions_root, settings.allow_private_destinations),
    )
    states = StateFile(settings.run_folder, "deliver")

    def report(figures: Callable[[], list[Figures]]) -> Callable[[], None]:
        reporter = Reporter(settings, "deliver", watched, lambda: deliver_page(figures()))

        def tell() -> None:
            reporter()
            states.write(functions.states)

        return tell

    try:
        run_deliver(
            settings,
            journal,
            workspace,
            stop.is_set,
            renew=lambda slug, token: workspace.renew_token(slug, token, by),
            reporter=report,
            functions_of=functions,
        )
    finally:
        functions.close()
        workspace.close()
        watched.close()
        journal.close()


def profiles(settings: Settings, stop: threading.Event, partition: int) -> None:
    """Resolve ``events`` to people, keep their traits and audiences, and tell what changes."""
    from penstock.journal.sqlite import SqliteJournal
    from penstock.profiles.stream.role import ProfilesWorker
    from penstock.spaces import ProfileSpaces

    del partition
    gc.set_threshold(100_000, 20, 100)  # events make many objects, and no cycles
    journal = SqliteJournal(settings.journal_folder, segment_bytes=settings.segment_bytes)
    watched = SqliteJournal(settings.journal_folder)
    worker = ProfilesWorker(settings.profiles_folder, journal, ProfileSpaces(settings.state_file))
    report = Reporter(settings, "profiles", watched, lambda: profiles_page(worker.figures()))
    try:
        _loop(stop, worker.step, worker.maintain, report, pause_s=0.0)
    finally:
        worker.close()
        watched.close()
        journal.close()


def monitor(settings: Settings, stop: threading.Event, partition: int) -> None:
    """Count what passes: volumes, the schema catalogue, the loss ledger."""
    from penstock.destinations.delivery.asked import DeliveriesAsked
    from penstock.journal.sqlite import SqliteJournal
    from penstock.monitor.store import MonitorStore
    from penstock.monitor.worker import MonitorWorker
    from penstock.warehouses.wire import ask_rows

    del partition
    journal = SqliteJournal(settings.journal_folder, segment_bytes=settings.segment_bytes)
    store = MonitorStore(settings.monitor_file, mend=True)
    worker = MonitorWorker(
        journal,
        store,
        masked=settings.monitor_masked,
        retention=settings.monitor_retention,
        ask=lambda sql: ask_rows(settings.socket_file, sql, _ASK_S),
        ask_deliveries=DeliveriesAsked(settings.deliveries_file),
    )
    watched = SqliteJournal(settings.journal_folder)
    report = Reporter(settings, "monitor", watched, lambda: ledger_page(store.connection))
    _loop(stop, worker.step, worker.maintain, report, pause_s=0.0)
    worker.close()
    watched.close()
    store.close()
    journal.close()


def api(settings: Settings, stop: threading.Event, partition: int) -> None:
    """Serve the management API."""
    _do_without("pydantic", "pydantic_core")  # Litestar would load them: 8 MB
    from penstock.api.server import run_api
    from penstock.journal.salvage import damage_reports
    from penstock.journal.sqlite import SqliteJournal
    from penstock.workspace.store import Workspace

    del partition
    signal.signal(signal.SIGTERM, _leave)  # until the HTTP server puts handlers of its own
    if stop.is_set():
        return
    journal = SqliteJournal(settings.journal_folder)
    workspace = Workspace.of(settings)
    threading.Thread(target=_report_alone, args=(settings, "api", stop), daemon=True).start()
    try:
        run_api(settings, journal, workspace, lambda: damage_reports(settings.journal_folder), stop)
    finally:
        workspace.close()
        journal.close()


def snapshot(settings: Settings, stop: threading.Event, partition: int) -> None:
    """Publish a copy of the warehouse again and again."""
    from penstock.backup.snapshot import publish, seconds_until_due

    del partition
    file = settings.snapshot_file
    while not stop.wait(seconds_until_due(file, settings.snapshot_every, time.time())):
        try:
            made = publish(settings, file)
            log.info("published a snapshot", file=file, events=made.events)
        except PenstockError as error:
            log.error("no snapshot; trying again", error=error)
            stop.wait(_SNAPSHOT_AGAIN_S)


def _do_without(*libraries: str) -> None:
    """Have these not found, which others load when they are there and have no use for here."""
    for name in libraries:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # what makes an import fail


def _report_alone(settings: Settings, role: str, stop: threading.Event) -> None:
    """Report once a second that a role without a loop of its own is there."""
    file = SnapshotFile(settings.run_folder, role)
    while not stop.wait(1.0):
        file.write(Page())


ROLES: dict[str, Callable[[Settings, threading.Event, int], None]] = {
    "api": api,
    "collector": collect,
    "process": process,
    "deliver": deliver,
    "profiles": profiles,
    "monitor": monitor,
    "warehouse": warehouse,
    "snapshot": snapshot,
}
"""Role by name."""


def _loop(
    stop: threading.Event,
    step: Callable[[], int],
    maintain: Callable[[], None],
    report: Callable[[], None] = lambda: None,
    *,
    pause_s: float,
) -> None:
    """Step while there is work, at most once per pause; wait a little while there is none."""
    next_maintenance = 0.0
    trouble = 0
    while not stop.is_set():
        began = time.monotonic()
        try:
            if began >= next_maintenance:
                next_maintenance = began + _MAINTENANCE_S
                maintain()
            report()
            worked = step()
            trouble = 0
        except (WarehouseInvalid, FormatTooNew):
            raise
        except PenstockError as error:
            trouble += 1
            quotes = type(error) is WarehouseError
            log.error("a step failed; trying again",
                      error=logs.behind(error) if quotes else error)  # fmt: skip
            stop.wait(min(0.05 * 2 ** min(trouble, _MOST_DOUBLINGS), 30))
            continue
        spent = time.monotonic() - began
        stop.wait(max(pause_s - spent, 0.0) if worked else max(_IDLE_S, pause_s / 5))


def main() -> None:
    """Run one role: ``python -m penstock.roles NAME PARTITION SETTINGS-JSON``.

    Ends when standard input closes, which it does when the supervisor dies, however it dies.
    """
    name, partition, raw = sys.argv[1:4]
    label = role_label(name, int(partition))
    logs.set_up(label)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    failure = None
    try:
        settings = load_settings(msgspec.json.decode(raw), {}, Path(os.devnull))
        logs.set_up(label, form=settings.log_format, level=settings.log_level)
        failure = settings.failure_file(label)
        ROLES[name](settings, stop, int(partition))
    except PenstockError as error:
        if _is_new(failure, str(error)):
            log.error("the role ends", error=error)
        sys.exit(HOPELESS if isinstance(error, FormatTooNew) else 3)
    except Exception as error:
        if _is_new(failure, f"unexpected error: {logs.told(error)}"):
            log.exception("the role ends, which nobody expected")
        sys.exit(1)


def _is_new(file: Path | None, message: str) -> bool:
    """Leave what ended the role to the supervisor; False when it is what ended it before."""
    if file is None:
        return True
    try:
        if file.is_file() and file.read_text(encoding="utf-8") == message:
            return False
        file.write_text(message, encoding="utf-8")
    except (OSError, UnicodeError):
        return True
    return True


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    """End in order, once. The HTTP server, too, raises its SIGTERM again when it has drained."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(0)


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
