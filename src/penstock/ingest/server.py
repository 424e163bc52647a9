"""A collector worker: the HTTP server around the collector application."""

from __future__ import annotations

import asyncio
import gc
import signal

import uvicorn

from penstock import logs
from penstock.ingest.accept import Acceptor
from penstock.ingest.app import Collector
from penstock.ingest.committer import GroupCommitter
from penstock.ingest.directory import SourceDirectory, Sources
from penstock.ingest.disk import Disk
from penstock.ingest.door import Door, listen, loop_factory
from penstock.ingest.figures import Figures
from penstock.ingest.proxies import Proxies
from penstock.ingest.rate import RateLimits
from penstock.journal.contract import RECEIVED, REJECTED, Journal
from penstock.settings import Settings

__all__ = ["run_collector"]

log = logs.get("penstock.ingest")
_TICK_S = 1.0


def run_collector(settings: Settings, partition: int, journal: Journal, sources: Sources) -> None:
    """Serve until SIGTERM; then finish what was begun and return."""
    runner = asyncio.Runner(loop_factory=loop_factory(settings.body_timeout.total_seconds()))
    runner.run(_serve(settings, partition, journal, sources))


async def _serve(settings: Settings, partition: int, journal: Journal, sources: Sources) -> None:
    proxies = Proxies(settings.trusted_proxies)
    door = Door(settings, proxies)
    received = journal.writer(RECEIVED, partition)
    rejected = journal.writer(REJECTED, partition)
    disk = Disk(settings)
    limits = RateLimits(settings.workers)
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
        limits=limits,
    )
    figures = Figures(settings, partition, committer, disk, door, limits)
    collector = Collector(
        acceptor,
        committer,
        directory.find,
        max_request_bytes=settings.max_request_bytes,
        body_timeout=settings.body_timeout.total_seconds(),
        proxies=proxies,
        public_url=settings.public_url,
        metrics=figures.page,
        unready=figures.unready,
        management=door.management,
        browser_settings=directory.browser_settings,
    )
    _relax_garbage_collection()
    server = door.server(collector)
    ticker = asyncio.create_task(_tick(directory, disk, door, server, figures))
    try:
        await server.serve(sockets=[listen(settings.host, settings.port)])
    finally:
        ticker.cancel()
        committer.close()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _relax_garbage_collection() -> None:
    """Requests leave few cycles behind; looking for them at each 700 objects takes 10 %."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


async def _tick(
    directory: SourceDirectory, disk: Disk, door: Door, server: uvicorn.Server, figures: Figures
) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(_TICK_S)
        try:
            door.look(server, loop.time())
            directory.refresh()
            disk.look()
            figures.report()
        except Exception:
            log.exception("the round of each second failed")
