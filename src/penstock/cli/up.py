"""``penstock up``: everything, in the foreground."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from penstock import logs
from penstock.cli.first import First, first_start
from penstock.cli.options import DataOption, command_line
from penstock.engine import Engine
from penstock.errors import ConfigurationError
from penstock.ingest.tls import certificate
from penstock.settings import Settings, load_settings, unknown_variables

__all__ = ["local_url", "started", "stop_on_signal", "up", "wait_ready"]

log = logs.get("penstock.engine")
_WAREHOUSE_S = 5.0


def up(
    data: DataOption = None,
    port: Annotated[int | None, typer.Option(help="Port of the collector.")] = None,
    console_port: Annotated[
        int | None, typer.Option(help="Port of console and management API.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address of the collector.")] = None,
    workers: Annotated[int | None, typer.Option(help="Collector processes.")] = None,
    trusted_proxies: Annotated[
        str | None, typer.Option(help="Proxies whose X-Forwarded-For is believed.")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate for HTTPS, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key, PEM.")] = None,
    one_port: Annotated[
        bool | None,
        typer.Option("--one-port", help="Serve the management API on the collector's port, too."),
    ] = None,
) -> None:
    """Collect events and load them into the warehouse, until Ctrl-C.

    The first start creates a source and a token of an administrator, and prints both. Every other
    setting is given as PENSTOCK_<NAME> or in penstock.toml.

    Example: penstock up --data ./penstock-data --port 8080
    """
    settings = load_settings(
        {
            "data": data,
            "port": port,
            "console_port": console_port,
            "host": host,
            "workers": workers,
            "trusted_proxies": trusted_proxies,
            "tls_cert": tls_cert,
            "tls_key": tls_key,
            "one_port": one_port,
        }
    )
    as_json = logs.set_up("up", form=settings.log_format, level=settings.log_level)
    _warn_of_variables()
    stop = stop_on_signal()
    starting = started(settings, say=log.warning if as_json else _say)
    first = None if settings.state_file.exists() else first_start(settings)
    with starting as engine:
        first = first or first_start(settings)
        if not wait_ready(settings, engine, stop):
            return
        wait_warehouse(settings, engine, stop)
        _greet(settings, first)
        while not stop.wait(0.25):
            engine.watch()
        typer.echo("stopping: finishing what was begun")


def _say(line: str) -> None:
    typer.echo(line, err=True)


class started:  # noqa: N801 - reads as a statement
    """A running engine, drained at the end of the block."""

    def __init__(self, settings: Settings, say: Callable[[str], None] = _say) -> None:
        certificate(settings)  # one that can't be used is told at once, too
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._engine = Engine(settings, say=say)
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
    if settings.port == settings.console_port:
        raise ConfigurationError("the collector and the API need a port each: see --console-port")
    deadline = time.monotonic() + 3
    _check_free(settings.host, settings.port, "choose others with --host and --port", deadline)
    if settings.console_port:
        hint = "choose another with --console-port; 0: no management API"
        _check_free(settings.console_host, settings.console_port, hint, deadline)


def _check_free(host: str, port: int, hint: str, deadline: float) -> None:
    """Raise ConfigurationError when the port can't be had until the deadline."""
    while True:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                if time.monotonic() < deadline:
                    time.sleep(0.1)
                    continue
                raise ConfigurationError(
                    f"can't listen on {host}:{port} ({error.strerror}); {hint}"
                ) from error
        return


def local_url(settings: Settings) -> str:
    """Address of the collector from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    host = f"[{host}]" if ":" in host else host
    scheme = "http" if settings.tls_cert is None else "https"
    return f"{scheme}://{host}:{settings.port}"


def wait_ready(settings: Settings, engine: Engine, stop: threading.Event) -> bool:
    """Wait until the collector answers; False when told to stop meanwhile."""
    directly = urllib.request.build_opener(
        urllib.request.ProxyHandler({}),
        urllib.request.HTTPSHandler(context=_any_certificate()),
    )
    while not stop.wait(0.05):
        try:
            with directly.open(f"{local_url(settings)}/health", timeout=1):
                return True
        except (urllib.error.URLError, OSError):
            engine.watch()
    return False


def wait_warehouse(settings: Settings, engine: Engine, stop: threading.Event) -> None:
    """Wait until the warehouse is open, or has said why not; a few seconds at most.

    And the API, where there is one.
    """
    deadline = time.monotonic() + _WAREHOUSE_S
    waiting = {"warehouse": settings.socket_file}
    if settings.console_port:
        waiting["api"] = settings.token_file
    for role, file in waiting.items():
        while not file.exists() and not settings.failure_file(role).exists():
            if time.monotonic() > deadline or stop.wait(0.05):
                return
            engine.watch()


def _warn_of_variables() -> None:
    """A misspelt variable has no effect, and nobody would know."""
    for name, meant in unknown_variables(dict(os.environ)).items():
        log.warning("a variable is no setting and has no effect", variable=name, meant=meant)


def _any_certificate() -> ssl.SSLContext:
    """To ask ourselves, at an address that the certificate need not name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _greet(settings: Settings, first: First) -> None:
    """What to paste next; no line of ours is wider than 80 columns."""
    url = settings.public_url.rstrip("/") or local_url(settings)
    body = '{"event":"Toast Buttered","userId":"u1","properties":{"slices":2}}'
    typer.echo(
        f"Penstock is up: {url}   data: {settings.data}\n\n"
        f"Send an event to source {first.source}:\n\n"
        f"  curl {url}/v1/track -u {first.write_key}: \\\n"
        f"    -d '{body}'\n\n"
        "Query it a second later:\n\n"
        f"  {command_line('sql', settings)} \\\n"
        f"    'select user_id, slices, received_at from {first.source}.toast_buttered'\n\n"
        f"{_access(settings, first.token)}"
        f"{_trouble(settings)}"
        "Ctrl-C stops."
    )
    sys.stdout.flush()


def _access(settings: Settings, token: str | None) -> str:
    """Where the management API is, and the first token for it."""
    told = ""
    if token is not None:
        told = f"A token of an administrator, shown this once:\n\n  {token}\n\n"
    if settings.console_port:
        host = (
            f"[{settings.console_host}]" if ":" in settings.console_host else settings.console_host
        )
        told += f"Management API: http://{host}:{settings.console_port}/api/schema/docs\n\n"
    return told


def _trouble(settings: Settings) -> str:
    """What does not work although events are taken."""
    told = ""
    for file in sorted(settings.run_folder.glob("*.error")):
        reason = file.read_text(encoding="utf-8", errors="replace").strip()
        told += f"BUT the role {file.stem} does not work:\n  {reason}\n"
    if not told:
        return ""
    return f"{told}Events are kept meanwhile. `{command_line('doctor', settings)}` says more.\n\n"


def stop_on_signal() -> threading.Event:
    """An event that Ctrl-C and SIGTERM set."""
    stop = threading.Event()

    def handle(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)
    return stop
