"""Letting another process copy the warehouse's files while loading goes on.

A Unix socket beside the one for queries, with the frames of ``wire``. The engine's first answer is
a ``Hold``; checkpoints are held off from then on. When the client has copied the files it says
``done``, and the second answer says whether the copy is good: ``{}`` or ``{"error": …}``. A
client that ends early ends its hold.
"""

from __future__ import annotations

import logging
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from pathlib import Path

import msgspec

from penstock.errors import PenstockError, WarehouseUnavailable
from penstock.warehouses.checkpoints import Hold
from penstock.warehouses.wire import address, connect, receive, send, unreachable

__all__ = ["CopyServer", "held_by_engine"]

log = logging.getLogger("penstock.warehouse")
Held = Callable[[], AbstractContextManager[Hold]]
_DONE = b"done"
_PATIENCE_S = 60.0
"""Longest wait for an answer; a checkpoint may be under way."""


class CopyServer:
    """Holds checkpoints off for whoever asks."""

    def __init__(self, path: Path, held: Held) -> None:
        path.unlink(missing_ok=True)
        self._path = path
        with address(path) as place:
            self._server = _Server(place, _handler(held))
        path.chmod(0o600)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Accept nobody any more."""
        self._server.shutdown()
        self._server.server_close()
        self._path.unlink(missing_ok=True)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


def _handler(held: Held) -> type[socketserver.BaseRequestHandler]:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            try:
                _hold(self.request, held)
            except (OSError, EOFError) as error:
                log.debug("a copy of the warehouse ended early: %s", error)

    return Handler


def _hold(connection: socket.socket, held: Held) -> None:
    verdict = {}
    try:
        with held() as hold:
            send(connection, msgspec.json.encode(asdict(hold)))
            receive(connection, len(_DONE))
    except PenstockError as error:
        verdict = {"error": str(error)}
    send(connection, msgspec.json.encode(verdict))


@contextmanager
def held_by_engine(path: Path) -> Iterator[Hold]:
    """The running engine writes no checkpoint inside the block.

    Raises EngineUnreachable, or WarehouseUnavailable when the copy is void and should be tried
    again.
    """
    with connect(path, _PATIENCE_S) as connection:
        try:
            head = msgspec.json.decode(receive(connection))
            if "error" in head:
                raise WarehouseUnavailable(head["error"])
            hold = Hold(**head)
        except (OSError, EOFError, msgspec.DecodeError) as error:
            raise unreachable(error) from error
        yield hold
        try:
            send(connection, _DONE)
            verdict = msgspec.json.decode(receive(connection))
        except (OSError, EOFError, msgspec.DecodeError) as error:
            raise unreachable(error) from error
    if "error" in verdict:
        raise WarehouseUnavailable(verdict["error"])
