"""What stands between the network and the collector: sockets, connections, TLS, the one port."""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import uvicorn

from penstock import logs
from penstock.ingest.protocol import Limits, close_late, limited
from penstock.ingest.proxies import Proxies
from penstock.ingest.tls import certificate
from penstock.settings import Settings

if TYPE_CHECKING:
    from penstock.ingest.one_port import Management

__all__ = ["Door", "listen", "loop_factory"]

log = logs.get("penstock.ingest")
_KEEP_ALIVE_S = 75
_DRAIN_S = 10
_OTHER_FILES = 256
"""Files that a collector has open beside its connections, generously."""


class Door:
    """The limits, the certificate and the way to the management API of one collector."""

    def __init__(self, settings: Settings, proxies: Proxies) -> None:
        """Raises ConfigurationError when the certificate can't be used."""
        self.limits = Limits(
            patience=settings.body_timeout.total_seconds(),
            connections=_most_connections(settings.max_connections),
        )
        self._certificate = certificate(settings)
        self.management = _management(settings, proxies) if settings.one_port else None

    def server(self, application: Any) -> uvicorn.Server:
        """The HTTP server around an ASGI application."""
        # A client can make uvicorn warn of each malformed request; that is no news to the operator.
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        config = uvicorn.Config(
            application,
            http=limited(self.limits),
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_DRAIN_S,
            proxy_headers=False,
            ws="none",
        )
        config.load()
        if self._certificate is not None:
            config.ssl = self._certificate.context
        return uvicorn.Server(config)

    def look(self, server: uvicorn.Server, now: float) -> None:
        """Close connections that are late, take a renewed certificate; called every second.

        ``now`` is the event loop's time.
        """
        close_late(server.server_state.connections, self.limits, now)
        if self._certificate is not None:
            self._certificate.refresh()
        if self.management is not None and server.should_exit:
            self.management.stop()


def _management(settings: Settings, proxies: Proxies) -> Management:
    from penstock.ingest.one_port import Management  # its client takes memory that few need

    return Management(
        settings.console_host,
        settings.console_port,
        proxies,
        body_timeout=settings.body_timeout.total_seconds(),
    )


def _most_connections(wanted: int) -> int:
    """As many as are wanted, or as the operating system lets a process have open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + _OTHER_FILES
    if hard != resource.RLIM_INFINITY and hard < needed:
        most = max(hard - _OTHER_FILES, 1)
        log.warning(
            "max_connections is more than the files a process may have open",
            max_connections=wanted,
            files=hard,
            taken=most,
        )
        wanted, needed = most, hard
    if soft != resource.RLIM_INFINITY and soft < needed:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
        except (OSError, ValueError) as error:
            log.warning("the limit of open files stays as it is", files=soft, error=str(error))
            return max(soft - _OTHER_FILES, 1)
    return wanted


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


def loop_factory(handshake_s: float) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop, where there is one, with patience for TLS handshakes of so many seconds."""
    try:
        import uvloop
    except ImportError:
        return None

    class Loop(uvloop.Loop):
        async def create_server(self, *args: Any, **how: Any) -> asyncio.Server:
            if how.get("ssl") is not None:
                how["ssl_handshake_timeout"] = handshake_s
            return cast(asyncio.Server, await super().create_server(*args, **how))

    return Loop
