"""A collector worker: the HTTP server around the collector application."""

from __future__ import annotations

import asyncio
import gc
import logging
import shutil
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn

from penstock.ingest.accept import Acceptor
from penstock.ingest.app import Collector
from penstock.ingest.committer import GroupCommitter, Tally
from penstock.ingest.directory import SourceDirectory, Sources
from penstock.ingest.protocol import close_late, patient
from penstock.journal.contract import RECEIVED, REJECTED, Journal
from penstock.settings import Settings

__all__ = ["listen", "run_collector"]

log = logging.getLogger("penstock.ingest")
_KEEP_ALIVE_S = 75
_TICK_S = 1.0


def listen(host: str, port: int) -> socket.socket:
    """A socket on which several processes can accept at once (SO_REUSEPORT)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((host, port))
    listener.listen(2048)
    listener.setblocking(False)
    return listener


def run_collector(settings: Settings, partition: int, journal: Journal, sources: Sources) -> None:
    """Serve until SIGTERM; then finish what was begun and return."""
    asyncio.Runner(loop_factory=_loop_factory()).run(_serve(settings, partition, journal, sources))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _serve(settings: Settings, partition: int, journal: Journal, sources: Sources) -> None:
    received = journal.writer(RECEIVED, partition)
    rejected = journal.writer(REJECTED, partition)
    disk = _Disk(settings.data, settings.min_free_disk)
    directory = SourceDirectory(sources)
    committer = GroupCommitter(
        received, rejected, queue_bytes=settings.queue_bytes, has_room=lambda: disk.has_room
    )
    acceptor = Acceptor(
        directory.find,
        max_event_bytes=settings.max_event_bytes,
        max_batch_items=settings.max_batch_items,
        unknown_key_status=settings.unknown_key_status,
        latest_us=received.last_created_us(),
    )
    collector = Collector(
        acceptor,
        committer,
        directory.find,
        max_request_bytes=settings.max_request_bytes,
        body_timeout=settings.body_timeout.total_seconds(),
        trusted_proxies=settings.trusted_proxies,
        public_url=settings.public_url,
        metrics=lambda: _metrics(committer.tally, partition),
    )
    _relax_garbage_collection()
    server = _http_server(settings, collector)
    ticker = asyncio.create_task(_tick(directory, disk, server))
    try:
        await server.serve(sockets=[listen(settings.host, settings.port)])
    finally:
        ticker.cancel()
        committer.close()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _http_server(settings: Settings, collector: Collector) -> uvicorn.Server:
    # A client can make uvicorn warn of each malformed request; that is no news to the operator.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    return uvicorn.Server(
        uvicorn.Config(
            collector,
            http=patient(settings.body_timeout.total_seconds()),
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=10,
            proxy_headers=False,
            ws="none",
        )
    )


def _relax_garbage_collection() -> None:
    """Requests leave few cycles behind; looking for them at each 700 objects takes 10 %."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


class _Disk:
    """Whether there is room; looked at once a second."""

    def __init__(self, folder: Path, least: int) -> None:
        self._folder = folder
        self._least = least
        self.has_room = True
        self.look()

    def look(self) -> None:
        room = shutil.disk_usage(self._folder).free >= self._least
        if room != self.has_room:
            log.warning("disk %s", "has room again" if room else "is nearly full: answering 503")
        self.has_room = room


async def _tick(directory: SourceDirectory, disk: _Disk, server: uvicorn.Server) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(_TICK_S)
        try:
            close_late(server.server_state.connections, loop.time())
            directory.refresh()
            disk.look()
        except Exception:
            log.exception("could not refresh sources")


def _metrics(tally: Tally, partition: int) -> str:
    label = f'{{worker="{partition}"}}'
    return "".join(
        f"# TYPE penstock_collector_{name} counter\npenstock_collector_{name}{label} {value}\n"
        for name, value in vars(tally).items()
    )
