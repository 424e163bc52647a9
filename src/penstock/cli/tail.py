"""``penstock tail``: what arrives, and what becomes of it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Annotated

import msgspec
import pyarrow as pa
import typer
from rich.cells import cell_len

from penstock.cli.engine_api import EngineApi, UrlOption, remote_api, with_query
from penstock.cli.options import DataOption, JsonOption, UsageError, command_line, printable
from penstock.cli.warehouse import run_query
from penstock.destinations.delivery.asked import DeliveriesAsked
from penstock.engine import is_running
from penstock.errors import EngineUnreachable, PenstockError
from penstock.journal.sqlite import SqliteJournal
from penstock.monitor.tail import Polled, Tail, TailFilter, TailItem
from penstock.settings import Settings, load_settings
from penstock.warehouses.staging import is_routed

__all__ = ["tail"]

_POLL_S = 0.25
_SETTLED_S = 5.0
"""A fate that has not changed for so long is not waited for."""
_PATIENCE = timedelta(seconds=10)
_LAST = ("rejected", "duplicate", "loaded", "filtered")
"""Fates after which none follows."""
_encode = msgspec.json.Encoder().encode
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}


def tail(
    source: Annotated[str | None, typer.Option(help="Only this source.")] = None,
    event: Annotated[
        str | None, typer.Option(help="Only this event, or call such as $identify.")
    ] = None,
    user: Annotated[str | None, typer.Option(help="Only this userId or anonymousId.")] = None,
    back: Annotated[
        int, typer.Option("-n", "--back", min=0, help="Begin with so many that came before.")
    ] = 10,
    limit: Annotated[
        int | None, typer.Option(min=1, help="End after so many events and what became of them.")
    ] = None,
    duration: Annotated[
        str | None, typer.Option("--for", metavar="<duration>", help="End after it, such as 10s.")
    ] = None,
    url: UrlOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show events as they arrive, refused ones too, and what becomes of each, until Ctrl-C.

    A line for each event, and another whenever its fate changes: received, then stored or
    duplicate, then loaded (or filtered); or rejected, with the reason. When there are too many to
    show, some are, and the number of the others is told. Works without a running engine.

    Example: penstock tail --source web --for 10s
    """
    only = TailFilter(source=source, event=event, user=user)
    printer = _Printer(_json_line if as_json else _line, limit)
    seconds = None if duration is None else _seconds(duration)
    remote = remote_api(url, data)
    with suppress(KeyboardInterrupt):
        if remote is not None:
            _follow_remote(remote, only, back, seconds, printer)
        else:
            _follow_folder(load_settings({"data": data}), only, back, seconds, printer)


def _follow_folder(
    settings: Settings, only: TailFilter, back: int, seconds: float | None, printer: _Printer
) -> None:
    if not settings.journal_folder.is_dir():
        start = command_line("up", settings)
        raise PenstockError(f"no journal in {settings.data}: start `{start}` first")
    deadline = None if seconds is None else time.monotonic() + seconds
    journal = SqliteJournal(settings.journal_folder)
    try:
        following = Tail(
            journal,
            _asking(settings),
            only=only,
            back=back,
            is_routed=lambda integrations: is_routed(integrations, settings.warehouse_id),
            ask_fates=DeliveriesAsked(settings.deliveries_file).fates,
        )
        _follow(following, printer, deadline)
    finally:
        journal.close()


def _follow_remote(
    api: EngineApi, only: TailFilter, back: int, seconds: float | None, printer: _Printer
) -> None:
    path = with_query("/tail", **msgspec.structs.asdict(only), back=back, seconds=seconds)
    for name, data in api.events(path):
        if name == "event":
            printer.show(Polled([msgspec.json.decode(data, type=TailItem)]))
        elif name == "skipped":
            printer.show(Polled(skipped=int(msgspec.json.decode(data)["count"])))
        if printer.is_done:
            return


class _Printer:
    """Prints events and their fates, of no more than ``limit`` events."""

    def __init__(self, line: Callable[[TailItem], str], limit: int | None) -> None:
        self._line = line
        self._limit = limit
        self._shown = 0
        self._open: set[int] = set()
        self._changed = time.monotonic()

    def show(self, polled: Polled) -> None:
        """Print what is new."""
        if polled.items:
            self._changed = time.monotonic()
        for item in polled.items:
            if not item.update and not self.is_full:
                self._shown += 1
                self._open.add(item.number)
            if item.number in self._open:
                typer.echo(self._line(item))
            if item.fate in _LAST:
                self._open.discard(item.number)
        if polled.skipped:
            typer.echo(f"… {polled.skipped:,} more, not shown", err=True)

    @property
    def is_full(self) -> bool:
        """Whether as many events were shown as may be."""
        return self._limit is not None and self._shown >= self._limit

    @property
    def is_done(self) -> bool:
        """Whether, besides, what became of them is known, or does not change any more."""
        settled = not self._open or time.monotonic() - self._changed >= _SETTLED_S
        return self.is_full and settled


def _follow(following: Tail, printer: _Printer, deadline: float | None) -> None:
    while True:
        printer.show(following.poll())
        if printer.is_done or (deadline is not None and time.monotonic() >= deadline):
            return
        time.sleep(_POLL_S)


def _asking(settings: Settings) -> Callable[[str], pa.Table]:
    """Asks the warehouse; without an engine only for a moment, so that one can start."""
    hurried = replace(settings, sql_timeout=min(settings.sql_timeout, _PATIENCE))
    alone_until = time.monotonic() + _PATIENCE.total_seconds()

    def ask(sql: str) -> pa.Table:
        if not is_running(settings) and (
            not settings.warehouse_file.exists() or time.monotonic() > alone_until
        ):
            raise EngineUnreachable("no engine is running")
        return run_query(hurried, sql)

    return ask


def _seconds(text: str) -> float:
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise UsageError("--for: a duration such as 10s, 5m or 1h")
    return float(found[1]) * _SECONDS[found[2]]


def _line(item: TailItem) -> str:
    """Columns that stay under each other while names are not too long."""
    fate = f"{'→ ' if item.update else ''}{item.fate}"
    columns = (
        (item.received_at.strftime("%H:%M:%S.%f")[:-3], 12),
        (item.source or "(unknown)", 12),
        (fate, 11),
        (item.event, 24),
        (item.user or "-", 16),
        (item.message_id or "-", 0),
        (f"{item.code}: {item.note}" if item.code else item.note, 0),
        ("; ".join(f"{slug}: {what}" for slug, what in sorted(item.deliveries.items())), 0),
    )
    return "  ".join(_cell(text, width) for text, width in columns).rstrip()


def _cell(text: str, width: int) -> str:
    shown = printable(text)
    return shown + " " * (width - cell_len(shown))


def _json_line(item: TailItem) -> str:
    return _encode(item).decode()
