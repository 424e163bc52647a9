"""The bodies of the processes that the engine supervises. Each imports only what it needs."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn

import msgspec

from penstock.engine import role_label
from penstock.errors import PenstockError, WarehouseInvalid
from penstock.settings import Settings, load_settings

__all__ = ["ROLES", "main"]

log = logging.getLogger("penstock.engine")
_IDLE_S = 0.05
_MAINTENANCE_S = 60.0
_MOST_DOUBLINGS = 10


def collect(settings: Settings, stop: threading.Event, partition: int) -> None:
    """Serve HTTP and write ``received``."""
    from penstock.ingest.server import run_collector
    from penstock.journal.sqlite import SqliteJournal
    from penstock.workspace.store import Workspace

    signal.signal(signal.SIGTERM, _leave)  # until the HTTP server puts handlers of its own
    if stop.is_set():
        return
    journal = SqliteJournal(settings.journal_folder, segment_bytes=settings.segment_bytes)
    workspace = Workspace(settings.state_file)
    run_collector(settings, partition, journal, workspace)


def process(settings: Settings, stop: threading.Event, partition: int) -> None:
    """Read ``received``, drop duplicates, write ``events``."""
    from penstock.journal.contract import EVENTS, RECEIVED, REJECTED
    from penstock.journal.sqlite import SqliteJournal
    from penstock.process.dedupe import DedupeIndex
    from penstock.process.worker import ProcessWorker

    del partition
    journal = SqliteJournal(settings.journal_folder, segment_bytes=settings.segment_bytes)
    index = DedupeIndex(settings.data / "dedupe", settings.dedupe_window)
    worker = ProcessWorker(journal, index)
    ages = {
        RECEIVED: settings.received_retention,
        EVENTS: settings.events_retention,
        REJECTED: settings.rejected_retention,
    }

    def maintain() -> None:
        worker.commit()
        for topic, age in ages.items():
            for line in journal.expire(topic, age, settings.journal_max_bytes):
                log.info("expired %s", line)

    _loop(stop, worker.step, maintain, pause_s=0.0)
    worker.close()
    index.close()
    journal.close()


def warehouse(settings: Settings, stop: threading.Event, partition: int) -> None:
    """Load ``events`` into the warehouse, and answer queries."""
    from penstock.journal.sqlite import SqliteJournal
    from penstock.warehouses.duckdb import DuckDbWarehouse
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
    )
    loader = Loader(journal, engine, chunk=settings.warehouse_chunk)
    server = QueryServer(settings.socket_file, engine.query)

    def step() -> int:
        loaded = loader.step()
        return 0 if loaded is None else loaded.events

    def maintain() -> None:
        engine.compact(settings.compact_every)

    _loop(stop, step, maintain, pause_s=settings.warehouse_interval.total_seconds())
    server.close()
    loader.close()
    engine.close()
    journal.close()


ROLES: dict[str, Callable[[Settings, threading.Event, int], None]] = {
    "collector": collect,
    "process": process,
    "warehouse": warehouse,
}
"""Role by name."""


def _loop(
    stop: threading.Event, step: Callable[[], int], maintain: Callable[[], None], *, pause_s: float
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
            worked = step()
            trouble = 0
        except WarehouseInvalid:
            raise
        except PenstockError as error:
            trouble += 1
            log.error("%s; trying again", error)
            stop.wait(min(0.05 * 2 ** min(trouble, _MOST_DOUBLINGS), 30))
            continue
        spent = time.monotonic() - began
        stop.wait(max(pause_s - spent, 0.0) if worked else max(_IDLE_S, pause_s / 5))


def main() -> None:
    """Run one role: ``python -m penstock.roles NAME PARTITION SETTINGS-JSON``.

    Ends when standard input closes, which it does when the supervisor dies, however it dies.
    """
    name, partition, raw = sys.argv[1:4]
    logging.basicConfig(
        level=logging.INFO,
        format=f"%(asctime)s %(levelname)s {name}: %(message)s",
        stream=sys.stderr,
    )
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    failure = None
    try:
        settings = load_settings(msgspec.json.decode(raw), {}, Path(os.devnull))
        failure = settings.failure_file(role_label(name, int(partition)))
        ROLES[name](settings, stop, int(partition))
    except PenstockError as error:
        if _is_new(failure, str(error)):
            log.error("%s", error)
        sys.exit(3)
    except Exception as error:
        if _is_new(failure, f"{type(error).__name__}: {error}"):
            log.exception("unexpected")
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
