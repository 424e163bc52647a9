"""``penstock functions``: user code that events pass, how it does, and what it would do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from penstock.cli.options import DataOption, JsonOption, UsageError, printable
from penstock.cli.tables import as_table
from penstock.destinations.functions.chain import FunctionState
from penstock.destinations.functions.states import read_states
from penstock.destinations.functions.trial import Tried, try_function
from penstock.destinations.model import FunctionSetup
from penstock.engine import is_running
from penstock.errors import ConfigurationError, PenstockError
from penstock.settings import Settings, load_settings

__all__ = ["functions"]

Json = Any
_FIGURES = ("passed", "dropped", "added", "failed")


def listed(data: DataOption = None, as_json: JsonOption = False) -> None:
    """List functions: where each runs, how it does there, and what is wrong.

    Example: penstock functions list
    """
    settings = load_settings({"data": data})
    states = read_states(settings.run_folder) if is_running(settings) else []
    rows = [row for setup in _setups(settings) for row in _rows(setup, states)]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    names = ["function", "place", "state", *_FIGURES, "problem"]
    cells = [[printable(str(row[name])) for name in names] for row in rows]
    right = [name in _FIGURES for name in names]
    typer.echo(as_table(names, cells, right=right), nl=False)


def test(
    name: Annotated[
        str, typer.Argument(metavar="<name>", help="Slug of a function, or its Python file.")
    ],
    event: Annotated[
        Path | None,
        typer.Option(metavar="<file>", dir_okay=False, help="JSON file with an event, or a list."),
    ] = None,
    last: Annotated[int, typer.Option(min=1, max=1000, help="So many of the newest events.")] = 10,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a function on events, and show what it makes of them. Nothing is stored or sent.

    Confined as in the engine, one event after the other. Requests of a function that may use the
    network do go out. Exit code 1 when it failed for an event.

    Example: penstock functions test loyal --last 20
    """
    settings = load_settings({"data": data})
    setup, folder = _wanted(settings, name)
    events = _given(event) if event is not None else _newest(settings, setup, last)
    tried = list(try_function(setup, folder, events, settings.allow_private_destinations))
    if as_json:
        typer.echo(msgspec.json.encode(tried))
    else:
        for each in tried:
            typer.echo("\n".join(_lines(each)))
    if any(each.code for each in tried):
        raise typer.Exit(1)


functions = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)
functions.command("list")(listed)
functions.command("test")(test)


@functions.callback()
def _about() -> None:
    """User code that events pass: list it, and try it on events.

    Example: penstock functions test loyal
    """


def _setups(settings: Settings) -> list[FunctionSetup]:
    from penstock.workspace.store import Workspace

    workspace = Workspace.of(settings)
    try:
        return workspace.functions(secrets=False)
    finally:
        workspace.close()


def _rows(setup: FunctionSetup, states: list[FunctionState]) -> Iterator[dict[str, Json]]:
    own = [state for state in states if state.function == setup.slug]
    if not own or not setup.enabled:
        own = [FunctionState(setup.slug, "", "idle" if setup.enabled else "disabled", "", {})]
    for state in own:
        counts = dict(state.counts)
        figures = {name: counts.pop(name, 0) for name in _FIGURES[:-1]}
        yield {
            "function": setup.slug, "file": setup.file, "place": state.place,
            "state": state.state, **figures, "failed": sum(counts.values()), "codes": counts,
            "problem": state.problem,
        }  # fmt: skip


def _wanted(settings: Settings, name: str) -> tuple[FunctionSetup, Path]:
    """The function, secrets in clear, and the folder of its file."""
    from penstock.workspace.store import Workspace

    if name.endswith(".py"):
        file = Path(name).absolute()
        return FunctionSetup(file.stem, file.name), file.parent
    workspace = Workspace.of(settings)
    try:
        return workspace.function(name), settings.functions_root
    finally:
        workspace.close()


def _given(file: Path) -> list[dict[str, Json]]:
    try:
        found = json.loads(file.read_bytes())
    except ValueError as error:
        raise ConfigurationError(f"{file} is not JSON: {error}") from error
    events = found if isinstance(found, list) else [found]
    if not all(isinstance(each, dict) for each in events):
        raise UsageError(f"--event: {file} holds no event, which is a JSON object")
    return events


def _newest(settings: Settings, setup: FunctionSetup, last: int) -> list[dict[str, Json]]:
    from penstock.destinations.trial import newest_events
    from penstock.journal.sqlite import SqliteJournal

    journal = SqliteJournal(settings.journal_folder)
    try:
        found = [event for source, event in newest_events(journal)
                 if not setup.sources or source in setup.sources][:last]  # fmt: skip
    finally:
        journal.close()
    if not found:
        raise PenstockError("there is no event to try with yet: send one, or give one by --event")
    return found[::-1]


def _lines(tried: Tried) -> Iterator[str]:
    event = tried.before
    name = event.get("event") if event.get("type") == "track" else f"${event.get('type')}"
    yield printable(
        f"{name}  {event.get('messageId', '-')}  {tried.outcome}  {tried.milliseconds:.1f} ms"
    )
    if tried.code:
        place = f"line {tried.line}: " if tried.line else ""
        yield f"  {tried.code}: {place}{printable(tried.message)}"
    for line in tried.changes:
        yield f"  {printable(line)}"
    for line in tried.printed.splitlines():
        yield f"  printed: {printable(line)}"
