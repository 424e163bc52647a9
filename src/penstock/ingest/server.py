"""A collector worker: the HTTP server around the collector application."""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from penstock.ingest.accept import Acceptor
from penstock.ingest.app import Collector
from penstock.ingest.committer import GroupCommitter, Tally
from penstock.ingest.directory import SourceDirectory, Sources
from penstock.journal.contract import RECEIVED, REJECTED, Journal
from penstock.settings import Settings

__all__ = ["listen", "run_collector"]

log = logging.getLogger("penstock.ingest")
_HEADERS_TIMEOUT_S = 15


class _Protocol(HttpToolsProtocol):
    """uvicorn's protocol, which closes a connection whose headers don't arrive in time."""

    _headers_timer: asyncio.TimerHandle | None = None

    def on_message_begin(self) -> None:
        self._headers_timer = self.loop.call_later(_HEADERS_TIMEOUT_S, self.transport.close)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if self._headers_timer is not None:
            self._headers_timer.cancel()
        super().on_headers_complete()


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
        trusted_proxies=frozenset(settings.trusted_proxies.replace(" ", "").split(",")),
        public_url=settings.public_url,
        metrics=lambda: _metrics(committer.tally, partition),
    )
    server = uvicorn.Server(
        uvicorn.Config(
            collector,
            http=_Protocol,
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=10,
            proxy_headers=False,
            ws="none",
        )
    )
    ticker = asyncio.create_task(_tick(directory, disk))
    try:
        await server.serve(sockets=[listen(settings.host, settings.port)])
    finally:
        ticker.cancel()
        committer.close()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


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


async def _tick(directory: SourceDirectory, disk: _Disk) -> None:
    while True:
        await asyncio.sleep(1)
        try:
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
