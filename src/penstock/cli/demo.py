"""``penstock demo``: the toast shop of the guides, end to end."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from penstock.cli.options import DataOption, command_line
from penstock.cli.up import local_url, started, stop_on_signal, wait_ready
from penstock.cli.warehouse import run_query
from penstock.demo import TABLES, Simulation, compare, render, send, simulate
from penstock.engine import is_running
from penstock.errors import DemoError
from penstock.events.model import Source
from penstock.settings import Settings, load_settings
from penstock.workspace.store import Workspace

__all__ = ["demo"]

_KEY = "toast-web-key"
_FOLDER = Path("penstock-demo")
_MARK = "demo"
_PATIENCE_S = 300.0


def demo(
    no_serve: Annotated[
        bool, typer.Option("--no-serve", help="Exit when the tables are printed.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the simulated city.")] = 1,
    scale: Annotated[float, typer.Option(help="Size of the city around the campaigns.")] = 1.0,
    as_of: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day of the history.")
    ] = None,
    data: DataOption = None,
    port: Annotated[int | None, typer.Option(help="Port of the collector.")] = None,
) -> None:
    """Play Toastmates, the toast shop of the guides, and print the guides' figures.

    A simulator sends six months of traffic through the tracking API; the tables are SQL over the
    warehouse, and are compared with the simulator's own ledger.

    Example: penstock demo --no-serve --seed 7 --scale 3
    """
    settings = load_settings({"data": data or _FOLDER, "port": port})
    _own_folder(settings)
    console = Console()
    day = (as_of or datetime.now(UTC)).date()
    simulation = simulate(seed, scale, as_of=day)
    stop = stop_on_signal()
    workspace = Workspace(settings.data / "state.sqlite")
    workspace.put_sources(
        [Source("toastmates", "Toastmates web shop", "browser", write_keys=(_KEY,))]
    )
    workspace.close()
    with started(settings) as engine:
        if not wait_ready(settings, engine, stop):
            return
        _play(settings, simulation, console)

        def query(text: str) -> tuple[Sequence[str], Sequence[Sequence[Any]]]:
            result = run_query(settings, text, "redshift")
            columns = [column.to_pylist() for column in result.columns]
            return result.column_names, list(zip(*columns, strict=True))

        for table in TABLES:
            console.print(render(table, query))
        differences = compare(simulation.ledger, query)
        for difference in differences:
            console.print(f"difference: {difference}", style="red", markup=False)
        if differences:
            raise DemoError(f"{len(differences)} figures differ from what was sent")
        console.print("Every table equals the simulator's own ledger.")
        if no_serve:
            return
        _invite(console, settings)
        while not stop.wait(0.25):
            engine.watch()


def _own_folder(settings: Settings) -> None:
    """A fresh folder; one that an earlier demo left is emptied, any other is left alone."""
    mark = settings.data / _MARK
    if mark.exists():
        if is_running(settings):
            raise DemoError(f"a demo runs in {settings.data} already; stop it with Ctrl-C there")
        shutil.rmtree(settings.data)
    elif settings.data.exists() and any(settings.data.iterdir()):
        raise DemoError(
            f"{settings.data} is not a demo's; give an empty folder: penstock demo --data FOLDER"
        )
    settings.data.mkdir(parents=True, exist_ok=True)
    mark.touch()


def _play(settings: Settings, simulation: Simulation, console: Console) -> None:
    total = len(simulation.events)
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=console,
    ) as progress:  # fmt: skip
        sending = progress.add_task("send to the tracking API", total=total)
        loading = progress.add_task("load into the warehouse ", total=total)
        done = threading.Event()
        watcher = threading.Thread(
            target=_watch, args=(settings, total, done, lambda n: progress.update(
                loading, completed=n)), daemon=True,
        )  # fmt: skip
        watcher.start()
        send(simulation.events, local_url(settings), _KEY, lambda n: progress.advance(sending, n))
        if not done.wait(_PATIENCE_S):
            raise DemoError("the warehouse did not catch up; see `penstock status`")


def _watch(settings: Settings, total: int, done: threading.Event, show: Any) -> None:
    while True:
        rows = run_query(settings, "select coalesce(sum(loaded), 0)::bigint from penstock.progress")
        loaded = rows.column(0)[0].as_py()
        show(loaded)
        if loaded >= total:
            done.set()
            return
        time.sleep(0.2)


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
