"""``penstock demo``: the toast shop of the guides, end to end."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from penstock.cli.options import command_line
from penstock.cli.up import local_url, started, stop_on_signal, wait_ready
from penstock.cli.warehouse import run_query
from penstock.demo import TABLES, Simulation, compare, render, send, simulate
from penstock.engine import Engine, is_running
from penstock.errors import DemoError, EngineUnreachable
from penstock.events.model import Source
from penstock.settings import Settings, load_settings
from penstock.workspace.store import Workspace

__all__ = ["demo"]

_KEY = "toast-web-key"
_FOLDER = Path("penstock-demo")
_MARK = ".penstock-demo"
_MARK_TEXT = "penstock demo made this folder, and empties it each time it starts.\n"
_OURS = ("journal", "dedupe", "run", "state.sqlite*", "warehouse.duckdb*", _MARK)
_PATIENCE_S = 300.0
_END_S = 3.0
_DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        file_okay=False,
        metavar="<folder>",
        help="Folder, emptied first. Default: ./penstock-demo.",
    ),
]


def demo(
    no_serve: Annotated[
        bool, typer.Option("--no-serve", help="Exit when the tables are printed.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the simulated city.")] = 1,
    scale: Annotated[float, typer.Option(help="Size of the city around the campaigns.")] = 1.0,
    as_of: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day of the history.")
    ] = None,
    data: _DataOption = None,
    port: Annotated[int | None, typer.Option(help="Port of the collector.")] = None,
) -> None:
    """Play Toastmates, the toast shop of the guides, and print the guides' figures.

    A simulator sends six months of traffic through the tracking API; the tables are SQL over the
    warehouse, and are compared with the simulator's own ledger.

    Example: penstock demo --no-serve --seed 7 --scale 3
    """
    settings = replace(
        load_settings({"data": data or _FOLDER, "port": port}),
        tls_cert=None,
        tls_key=None,
        console_port=0,
    )
    _own_folder(settings)
    console = Console()
    simulation = simulate(seed, scale, as_of=(as_of or datetime.now(UTC)).date())
    stop = stop_on_signal()
    _put_source(settings)
    with started(settings) as engine:
        if not wait_ready(settings, engine, stop):
            return
        show = _in_background(lambda: _show(settings, simulation, console, stop))
        _supervise(engine, stop, show)
        if stop.is_set() or no_serve:
            return
        _invite(console, settings)
        while not stop.wait(0.25):
            engine.watch()


def _own_folder(settings: Settings) -> None:
    """A fresh folder; one that an earlier demo left is emptied, any other is left alone."""
    mark = settings.data / _MARK
    if _is_ours(mark):
        if is_running(settings):
            raise DemoError(f"a demo runs in {settings.data} already; stop it with Ctrl-C there")
        for pattern in _OURS:
            for path in list(settings.data.glob(pattern)):
                _delete(path)
    elif settings.data.exists() and any(settings.data.iterdir()):
        raise DemoError(
            f"{settings.data} is not a demo's; give an empty folder: penstock demo --data FOLDER"
        )
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    mark.write_text(_MARK_TEXT, encoding="utf-8")


def _is_ours(mark: Path) -> bool:
    """Whether the mark says what only a demo writes."""
    return mark.is_file() and mark.read_bytes() == _MARK_TEXT.encode()


def _delete(path: Path) -> None:
    """Delete a file or folder; of a link, only the link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _put_source(settings: Settings) -> None:
    workspace = Workspace.of(settings)
    workspace.put_sources(
        [Source("toastmates", "Toastmates web shop", "browser", write_keys=(_KEY,))]
    )
    workspace.close()


class _Stopped(Exception):
    """The person at the terminal wants no more of it."""


def _in_background(work: Callable[[], None]) -> Future[None]:
    """Do the work on a thread of its own; the future has its end, or the error that ended it."""
    future: Future[None] = Future()

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - handed over to who asks the future
            future.set_exception(error)
        else:
            future.set_result(None)

    threading.Thread(target=run, daemon=True).start()
    return future


def _supervise(engine: Engine, stop: threading.Event, work: Future[None]) -> None:
    """Keep the roles alive until the work is done or is to stop. Raises the error of the work."""
    while not work.done() and not stop.wait(0.1):
        engine.watch()
    try:
        work.result(_END_S if stop.is_set() else None)
    except (_Stopped, TimeoutError):
        if not stop.is_set():
            raise


def _show(
    settings: Settings, simulation: Simulation, console: Console, stop: threading.Event
) -> None:
    """Send, load, print the tables, and compare them with the ledger."""

    def query(text: str) -> tuple[Sequence[str], Sequence[Sequence[Any]]]:
        if stop.is_set():
            raise _Stopped
        result = run_query(settings, text, "redshift")
        columns = [column.to_pylist() for column in result.columns]
        return result.column_names, list(zip(*columns, strict=True))

    _play(settings, simulation, console, stop)
    for table in TABLES:
        console.print(render(table, query))
    differences = compare(simulation.ledger, query)
    for difference in differences:
        console.print(f"difference: {difference}", style="red", markup=False)
    if differences:
        raise DemoError(f"{len(differences)} figures differ from what was sent")
    console.print("Every table equals the simulator's own ledger.")


def _play(
    settings: Settings, simulation: Simulation, console: Console, stop: threading.Event
) -> None:
    """Send all events, and return when all are loaded."""
    total = len(simulation.events)
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=console,
    ) as progress:  # fmt: skip
        sending = progress.add_task("send to the tracking API", total=total)
        loading = progress.add_task("load into the warehouse ", total=total)
        loaded = _in_background(
            lambda: _watch(settings, total, stop, lambda n: progress.update(loading, completed=n))
        )

        def sent(count: int) -> None:
            progress.advance(sending, count)
            if stop.is_set():
                raise _Stopped
            if loaded.done():
                loaded.result()  # raises what ended the watching, if anything

        def pause(seconds: float) -> None:
            if stop.wait(seconds):
                raise _Stopped

        send(simulation.events, local_url(settings), _KEY, sent, sleep=pause)
        try:
            loaded.result(_PATIENCE_S)
        except TimeoutError as error:
            raise DemoError("the warehouse did not catch up; see `penstock status`") from error


def _watch(
    settings: Settings, total: int, stop: threading.Event, show: Callable[[int], None]
) -> None:
    """Show how many events are loaded until all are; a warehouse that restarts is waited for."""
    loaded = 0
    while loaded < total:
        try:
            rows = run_query(
                settings, "select coalesce(sum(loaded), 0)::bigint from penstock.progress"
            )
        except EngineUnreachable:
            pass  # it is being started again; who waits for all this has a limit
        else:
            loaded = rows.column(0)[0].as_py()
            show(loaded)
        if stop.wait(0.2):
            raise _Stopped


def _invite(console: Console, settings: Settings) -> None:
    url = local_url(settings)
    query = command_line(
        'sql "select event_text, count(*) n from toastmates.tracks group by 1 order by 2 desc"',
        settings,
    )
    event = '{"event":"Toast Buttered","userId":"u1"}'
    console.print(
        f"\nPenstock stays up: {url}   data: {settings.data}\n\n"
        f"  curl {url}/v1/track -u {_KEY}: -d '{event}'\n  {query}\n\nCtrl-C stops.",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
