"""What sends each kind of request, made when the first of its kind is sent."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.destinations.contract import Answer, BuiltRequest, FileWrite, Refused, Request
from penstock.destinations.sending.masking import Masker
from penstock.destinations.sending.wire import Wire, encode

if TYPE_CHECKING:
    from penstock.destinations.sending.files import FileSender
    from penstock.destinations.sending.http import HttpSender
    from penstock.destinations.sending.streams import StreamSender

__all__ = ["Senders"]


class Senders:
    """One for all destinations of a process. Belongs to one event loop; close it at the end."""

    def __init__(
        self,
        *,
        allow_private: bool = False,
        folder: Path | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """``allow_private`` permits addresses of the own network; ``folder`` is where files of
        this machine may be written, None: nowhere."""
        self._allow_private = allow_private
        self._folder = folder
        self._ssl = ssl_context

    @cached_property
    def http(self) -> HttpSender:
        """For Request."""
        from penstock.destinations.sending.http import HttpSender

        return HttpSender(allow_private=self._allow_private, ssl_context=self._ssl)

    @cached_property
    def files(self) -> FileSender:
        """For FileWrite."""
        from penstock.destinations.sending.files import FileSender

        return FileSender(folder=self._folder, allow_private=self._allow_private)

    @cached_property
    def streams(self) -> StreamSender:
        """For StreamSend."""
        from penstock.destinations.sending.streams import StreamSender

        return StreamSender(allow_private=self._allow_private)

    async def send(self, built: BuiltRequest, timeout: float, mask: Callable[[], Masker]) -> Answer:
        """Send any of them, an HTTP request with what authorises it. Raises Refused.

        An answer outside 200-299 is returned, not raised.
        """
        if isinstance(built, Request):
            return await self.send_wire(encode(built), timeout, mask)
        if isinstance(built, FileWrite):
            if built.store.startswith("s3:"):
                _need("obstore", "s3")
            return await self.files.send(built, timeout)
        _need("confluent_kafka", "kafka")
        return await self.streams.send(built, timeout)

    async def send_wire(self, wire: Wire, timeout: float, mask: Callable[[], Masker]) -> Answer:
        """Send an HTTP request that is encoded."""
        return await self.http.send(wire, timeout, mask)

    async def close(self) -> None:
        """Close what was opened."""
        for name in ("http", "files", "streams"):
            sender = self.__dict__.pop(name, None)
            if sender is not None:
                await sender.close()


def _need(module: str, extra: str) -> None:
    try:
        import_module(module)
    except ImportError as error:
        raise Refused(
            503, f"another package is needed: pip install 'penstock[{extra}]'", "MISSING_PACKAGE"
        ) from error
