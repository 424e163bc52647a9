"""Serving the API: one process, one event loop, a thread for what waits."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import secrets
import signal
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

import uvicorn

from penstock.api.app import create_app
from penstock.api.services import Services
from penstock.errors import ConfigurationError
from penstock.journal.contract import Journal
from penstock.settings import Settings
from penstock.workspace.store import Workspace

__all__ = ["run_api"]

_KEEP_ALIVE_S = 75
_GRACE_S = 3
_MOST_THREADS = 64
"""Made on demand: slow queries and open tails must not keep the rest waiting."""


def run_api(
    settings: Settings,
    journal: Journal,
    workspace: Workspace,
    damage: Callable[[], list[dict[str, object]]],
    stop: threading.Event,
) -> None:
    """Serve until SIGTERM. Raises ConfigurationError when the port can't be had."""
    token = f"psl_{secrets.token_urlsafe(32)}"
    services = Services(settings, workspace, journal, token, damage, stop)
    server = _Server(_configured(services), lambda: _leave_token(settings, token), stop)
    gc.collect()
    gc.freeze()
    try:
        runner = asyncio.Runner(loop_factory=_loop_factory())
        runner.get_loop().set_default_executor(ThreadPoolExecutor(_MOST_THREADS, "api"))
        runner.run(server.serve())
    except SystemExit as end:  # uvicorn logs why and exits; 0 is its SIGTERM raised again
        if not end.code:
            return
        raise ConfigurationError(
            f"can't listen on {settings.console_host}:{settings.console_port}; choose another "
            "port with --console-port"
        ) from end
    finally:
        settings.token_file.unlink(missing_ok=True)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


class _Server(uvicorn.Server):
    """Tells that it serves, and ends streams when it is to end."""

    def __init__(
        self, config: uvicorn.Config, serving: Callable[[], None], stop: threading.Event
    ) -> None:
        super().__init__(config)
        self._serving = serving
        self._stop = stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then let commands know."""
        await super().startup(sockets)
        if self.started:
            self._serving()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end."""
        self._stop.set()
        super().handle_exit(sig, frame)


def _configured(services: Services) -> uvicorn.Config:
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    return uvicorn.Config(
        create_app(services),
        host=services.settings.console_host,
        port=services.settings.console_port,
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
        proxy_headers=False,
        ws="none",
    )


def _leave_token(settings: Settings, token: str) -> None:
    """For commands of whoever may read the data folder."""
    file = settings.token_file
    fresh = file.with_name(f"{file.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(token)
    fresh.replace(file)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
