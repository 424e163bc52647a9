"""``penstock up``: everything, in the foreground."""

from __future__ import annotations

import logging
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from types import FrameType
from typing import Annotated

import typer

from penstock.cli.options import DataOption, command_line
from penstock.engine import Engine
from penstock.errors import ConfigurationError
from penstock.events.model import Source
from penstock.settings import Settings, load_settings
from penstock.workspace.store import Workspace, new_write_key

__all__ = ["first_source", "local_url", "started", "stop_on_signal", "up", "wait_ready"]


def up(
    data: DataOption = None,
    port: Annotated[int | None, typer.Option(help="Port of the collector.")] = None,
    console_port: Annotated[
        int | None, typer.Option(help="Port kept for console and management API.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address of the collector.")] = None,
    workers: Annotated[int | None, typer.Option(help="Collector processes.")] = None,
) -> None:
    """Collect events and load them into the warehouse, until Ctrl-C.

    The first start creates a source and prints a curl line that sends an event to it. Every other
    setting is given as PENSTOCK_<NAME> or in penstock.toml.

    Example: penstock up --data ./penstock-data --port 8080
    """
    settings = load_settings(
        {"data": data, "port": port, "console_port": console_port, "host": host, "workers": workers}
    )
    _log_to_terminal()
    stop = stop_on_signal()
    with started(settings) as engine:
        source = first_source(settings)
        if not wait_ready(settings, engine, stop):
            return
        _greet(settings, source)
        while not stop.wait(0.25):
            engine.watch()
        typer.echo("stopping: finishing what was begun")


class started:  # noqa: N801 - reads as a statement
    """A running engine, drained at the end of the block."""

    def __init__(self, settings: Settings) -> None:
        settings.data.mkdir(parents=True, exist_ok=True)
        self._engine = Engine(settings, say=lambda line: typer.echo(line, err=True))
        try:
            _check_port(settings)
        except ConfigurationError:
            self._engine.stop()
            raise

    def __enter__(self) -> Engine:
        self._engine.start()
        return self._engine

    def __exit__(self, *_: object) -> None:
        self._engine.stop()


def _check_port(settings: Settings) -> None:
    """A port that is taken is told at once, not by a process that dies.

    A collector of an engine that was killed a moment ago may still be closing it.
    """
    if settings.port == 0:
        raise ConfigurationError("port 0: name the port to listen on with --port")
    deadline = time.monotonic() + 3
    while True:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((settings.host, settings.port))
            except OSError as error:
                if time.monotonic() < deadline:
                    time.sleep(0.1)
                    continue
                raise ConfigurationError(
                    f"can't listen on {settings.host}:{settings.port} ({error.strerror}); "
                    "choose others with --host and --port"
                ) from error
        return


def first_source(settings: Settings) -> Source:
    """The source to show; a workspace without any gets a default one."""
    workspace = Workspace(settings.state_file)
    sources = workspace.sources()
    if not sources:
        sources = [Source("web", "My website", "browser", write_keys=(new_write_key(),))]
        workspace.put_sources(sources)
    workspace.close()
    return next((s for s in sources if s.enabled and s.write_keys), sources[0])


def local_url(settings: Settings) -> str:
    """Address of the collector from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{settings.port}"


def wait_ready(settings: Settings, engine: Engine, stop: threading.Event) -> bool:
    """Wait until the collector answers; False when told to stop meanwhile."""
    directly = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while not stop.wait(0.05):
        try:
            with directly.open(f"{local_url(settings)}/ready", timeout=1):
                return True
        except (urllib.error.URLError, OSError):
            engine.watch()
    return False


def _greet(settings: Settings, source: Source) -> None:
    """What to paste next; no line of ours is wider than 80 columns."""
    url = settings.public_url.rstrip("/") or local_url(settings)
    key = source.write_keys[0] if source.write_keys else ""
    body = '{"event":"Toast Buttered","userId":"u1","properties":{"slices":2}}'
    typer.echo(
        f"Penstock is up: {url}   data: {settings.data}\n\n"
        f"Send an event to source {source.slug}:\n\n"
        f"  curl {url}/v1/track -u {key}: \\\n"
        f"    -d '{body}'\n\n"
        "Query it a second later:\n\n"
        f"  {command_line('sql', settings)} \\\n"
        f"    'select user_id, slices, received_at from {source.slug}.toast_buttered'\n\n"
        "Ctrl-C stops."
    )
    sys.stdout.flush()


def stop_on_signal() -> threading.Event:
    """An event that Ctrl-C and SIGTERM set."""
    stop = threading.Event()

    def handle(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)
    return stop


def _log_to_terminal() -> None:
    logging.getLogger().setLevel(logging.INFO)
