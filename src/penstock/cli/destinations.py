"""``penstock destinations``: what is sent where, how that goes, and what was refused."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from penstock.cli.destinations_access import opened_access
from penstock.cli.engine_api import UrlOption
from penstock.cli.options import DataOption, JsonOption, UsageError, printable
from penstock.cli.tables import as_table
from penstock.destinations.registry import definition as definition_of
from penstock.errors import ConfigurationError
from penstock.events.times import parse_instant
from penstock.settings import load_settings

__all__ = ["destinations"]

Slug = Annotated[str, typer.Argument(metavar="<slug>", help="Slug of the destination.")]
Json = Any
_LONGEST_SHOWN = 2_000


def listed(url: UrlOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """List destinations with their state and the figures of the last 24 hours.

    Example: penstock destinations list
    """
    with opened_access(url, data) as access:
        figures = {each["destination"]: each for each in access.overview()}
        found = [{**each, "overview": figures.get(each["slug"])} for each in access.every()]
    if as_json:
        typer.echo(json.dumps(found))
        return
    rows = []
    for each in found:
        seen = each["overview"] or {}
        state = seen.get("state", "waiting") if each["enabled"] else "disabled"
        rows.append(
            (each["slug"], each["type"], state,
             *(seen.get(name, 0) for name in ("delivered", "filtered", "waiting", "dead")))
        )  # fmt: skip
    names = ["destination", "type", "state", "delivered", "filtered", "waiting", "dead"]
    right = [False, False, False, True, True, True, True]
    typer.echo(as_table(names, rows, right=right), nl=False)


def show(
    slug: Slug, url: UrlOption = None, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Show a destination: its settings, and what each mapping makes of which events.

    Example: penstock destinations show orders_hook
    """
    with opened_access(url, data) as access:
        setup = access.one(slug)
        tool = access.tool(setup["type"])
    mappings = list(_mappings(setup, tool))
    if as_json:
        typer.echo(json.dumps({**setup, "mappings": mappings}))
        return
    sources = setup["sources"]
    head = [
        ("type", f"{tool['name']} ({tool['slug']})"),
        ("enabled", "yes" if setup["enabled"] else "no"),
        ("sources", "all" if sources is None else ", ".join(sources) or "none"),
        *((f"settings.{key}", _text(value)) for key, value in setup["settings"].items()),
        *(("filter", _text(each)) for each in setup["filters"]),
        *(("consent", each) for each in setup["consent"]),
        *(("function", each) for each in setup["functions"]),
    ]
    typer.echo(as_table([], head), nl=False)
    for each in mappings:
        off = "" if each["enabled"] else " (disabled)"
        typer.echo(f"\n{each['name'] or each['action']}{off}: {each['action']}")
        typer.echo(f"when {each['trigger'] or 'always'}")
        rows = [
            (field["key"], field["type"], "yes" if field["required"] else "", _text(field["from"]))
            for field in each["fields"]
        ]
        typer.echo(
            as_table(["field", "type", "required", "made of"], rows, width=_width()), nl=False
        )


def catalog(
    tool: Annotated[
        str | None, typer.Argument(metavar="<tool>", help="Slug of a tool, to see all of it.")
    ] = None,
    url: UrlOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the tools that a destination can be of, or show the settings and actions of one.

    Example: penstock destinations catalog webhook
    """
    with opened_access(url, data) as access:
        found: Json = access.tools() if tool is None else access.tool(tool)
    if as_json:
        typer.echo(json.dumps(found))
        return
    if tool is None:
        rows = [(each["slug"], each["name"], each["mode"], each["help"]) for each in found]
        typer.echo(as_table(["type", "name", "mode", ""], rows, width=_width()), nl=False)
        return
    typer.echo(f"{found['name']}: {found['help']}\n")
    settings = [
        (each["key"], each["type"], "yes" if each["required"] else "",
         "yes" if each["secret"] else "", each["help"] or each["label"])
        for each in found["settings"]
    ]  # fmt: skip
    names = ["setting", "type", "required", "secret", ""]
    typer.echo(as_table(names, settings, width=_width()))
    actions = [(each["slug"], each["trigger"], each["help"] or each["name"])
               for each in found["actions"]]  # fmt: skip
    typer.echo(as_table(["action", "when", ""], actions, width=_width()), nl=False)


def check(
    tool: Annotated[str, typer.Argument(metavar="<type>", help="Type of the destination.")],
    event: Annotated[
        list[Path] | None,
        typer.Option(metavar="<file>", help="An event as JSON to try beside the built-in ones."),
    ] = None,
    data: DataOption = None,
) -> None:
    """Check the definition of a tool, yours or ours, with many events; nothing is sent.

    The exit code is 1 when something was found.

    Example: penstock destinations check bell
    """
    from penstock.destinations.conformance import faults

    definition = definition_of(tool, load_settings({"data": data}).destinations_folder)
    found = faults(definition, [_read_event(file) for file in event or ()])
    for fault in found:
        typer.echo(printable(fault))
    if found:
        raise typer.Exit(1)
    typer.echo(f"{definition.name}: nothing was found")


def test(
    slug: Slug,
    event: Annotated[
        Path | None,
        typer.Option(
            metavar="<file>", help="The event as JSON; - is the input. Default: the newest one."
        ),
    ] = None,
    source: Annotated[
        str, typer.Option(metavar="<slug>", help="Source that the event is taken to be from.")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the requests, and send nothing.")
    ] = False,
    url: UrlOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send one event for real, and show each request with its answer.

    The functions of the destination are run. Filters, consent and the event's flags are not
    applied; what they would do is told. The exit code is 1 when something was not taken, or no
    mapping is for the event.

    Example: penstock destinations test orders_hook --dry-run
    """
    given = None if event is None else _read_event(event)
    with opened_access(url, data) as access:
        trial = access.trial(slug, given, source, dry_run)
    if as_json:
        typer.echo(json.dumps(trial))
    else:
        _print_trial(trial)
    if not trial["attempts"] or any(_failed(each, dry_run) for each in trial["attempts"]):
        raise typer.Exit(1)


def dead_letters(
    slug: Slug,
    retry: Annotated[
        str | None, typer.Option(metavar="<ids>", help="Send again: ids with commas, or all.")
    ] = None,
    discard: Annotated[
        str | None, typer.Option(metavar="<ids>", help="Forget: ids with commas, or all.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option(metavar="<code>", help="List only those with this code.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="List at most so many.")] = 20,
    url: UrlOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what a destination did not take, newest first; send it again, or forget it.

    Example: penstock destinations dead-letters orders_hook --retry all
    """
    if retry and discard:
        raise UsageError("give --retry or --discard")
    verb, chosen = ("retry", retry) if retry else ("discard", discard)
    with opened_access(url, data) as access:
        if chosen:
            count = access.settle(slug, verb, _ids(chosen))
            told = "sent again" if retry else "forgotten"
            typer.echo(json.dumps({"events": count}) if as_json else f"{count:,} events {told}")
            return
        found = access.dead_letters(slug, limit, reason)
    if as_json:
        typer.echo(json.dumps(found))
        return
    rows = [
        (each["id"], _time(each["at"]), each["event"], each["action"], each["code"],
         each["count"], each["reason"])
        for each in found
    ]  # fmt: skip
    names = ["id", "at (UTC)", "event", "action", "code", "events", "reason"]
    typer.echo(as_table(names, [_printed(row) for row in rows], width=_width()), nl=False)


def replay(
    slug: Slug,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="<time>", help="From then on, such as 2026-05-01T12:00Z."),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="<time>", help="Up to then. Default: now.")
    ] = None,
    event: Annotated[
        list[str] | None,
        typer.Option(metavar="<name>", help="Only this event, or a call: $identify; repeatable."),
    ] = None,
    cancel: Annotated[
        int | None, typer.Option(metavar="<id>", help="Stop a replay instead.")
    ] = None,
    url: UrlOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send events that the journal still has again, to this destination alone.

    Times are those of receipt. Without --from it lists the replays and how far they are. Filters
    and consent hold for a replay too.

    Example: penstock destinations replay orders_hook --from 2026-05-01T12:00:00Z
    """
    with opened_access(url, data) as access:
        if cancel is not None:
            access.cancel(slug, cancel)
            typer.echo(f"cancelled {cancel}")
            return
        if start is not None:
            until = _instant("--to", end) if end else datetime.now(UTC)
            made = access.replay(slug, _instant("--from", start), until, event or [])
            typer.echo(json.dumps({"id": made}) if as_json else f"replay {made} begins")
            return
        found = access.replays(slug)
    if as_json:
        typer.echo(json.dumps(found))
        return
    rows = [
        (each["id"], _time(each["start"]), _time(each["end"]), ", ".join(each["events"]) or "all",
         each["state"], f"{each['progress']:.0%}", each["delivered"], each["dead"])
        for each in found
    ]  # fmt: skip
    names = ["id", "from (UTC)", "to (UTC)", "events", "state", "done", "delivered", "dead"]
    typer.echo(as_table(names, rows, width=_width()), nl=False)


def delete(slug: Slug, url: UrlOption = None, data: DataOption = None) -> None:
    """Delete a destination; what waits for it is not sent.

    Example: penstock destinations delete orders_hook
    """
    with opened_access(url, data) as access:
        access.delete(slug)
    typer.echo(f"deleted {slug}")


def _mappings(setup: Json, tool: Json) -> Iterator[Json]:
    """Each mapping with all its fields: the action's defaults, and what is laid over them."""
    actions = {each["slug"]: each for each in tool["actions"]}
    presets = tool["presets"] if setup["mappings"] is None else setup["mappings"]
    for each in presets:
        action = actions.get(each["action"], {"fields": [], "trigger": ""})
        own = dict(each.get("fields", {}))
        fields = [
            {**{key: field[key] for key in ("key", "type", "required")},
             "from": own.pop(field["key"], field["default"])}
            for field in action["fields"]
        ]  # fmt: skip
        fields += [{"key": k, "type": "", "required": False, "from": v} for k, v in own.items()]
        yield {
            "name": each.get("name", ""),
            "action": each["action"],
            "enabled": each.get("enabled", True),
            "trigger": each.get("trigger") or action["trigger"],
            "fields": [field for field in fields if field["from"] is not None],
        }


def _print_trial(trial: Json) -> None:
    named = trial["event"].get("event") or trial["event"].get("type", "")
    typer.echo(f"event {printable(str(named))} {trial['event'].get('messageId', '')}".rstrip())
    if trial["withheld"]:
        typer.echo(f"by itself it would not be sent: {trial['withheld']}")
    if not trial["attempts"]:
        typer.echo("no enabled mapping is for this event")
    for each in trial["attempts"]:
        typer.echo(f"\nmapping {each['mapping']}, {each['action']}: {_outcome(each, trial)}")
        for request in each["requests"]:
            typer.echo(f"  > {request['method']} {request['url']}")
            _print_message("  > ", request.get("headers", {}), request.get("body", ""))
            if request.get("status"):
                took = f" after {request.get('duration', 0) * 1000:.0f} ms"
                typer.echo(f"  < {request['status']}{took}")
                answer = request.get("answer_headers", {}), request.get("answer_body", "")
                _print_message("  < ", *answer)
            elif request.get("error"):
                typer.echo(f"  < {printable(request['error'])}")


def _print_message(mark: str, headers: dict[str, str], body: str) -> None:
    for name, value in headers.items():
        typer.echo(f"{mark}{name}: {printable(value)}")
    if body:
        typer.echo(f"{mark}{printable(body[:_LONGEST_SHOWN])}")


def _outcome(attempt: Json, trial: Json) -> str:
    if attempt["delivered"]:
        return f"delivered ({attempt['status']})"
    if trial["dry_run"] and not attempt["code"]:
        return "not sent (--dry-run)"
    return f"not taken: {attempt['code']} {printable(attempt['message'])}"


def _failed(attempt: Json, dry_run: bool) -> bool:
    return not attempt["delivered"] and not (dry_run and not attempt["code"])


def _read_event(file: Path) -> Json:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
        found = json.loads(text)
    except OSError as error:
        raise ConfigurationError(f"can't read {file}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigurationError(f"{file} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise ConfigurationError(f"{file}: an event is a JSON object")
    return found


def _ids(text: str) -> list[int] | None:
    if text == "all":
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError("ids are numbers with commas between them, or all") from error


def _instant(option: str, text: str) -> datetime:
    moment = parse_instant(text)
    if moment is None:
        raise UsageError(f"{option}: a time such as 2026-05-01T12:00:00Z")
    return moment


def _time(text: str) -> str:
    return text[:19].replace("T", " ")


def _text(value: Json) -> str:
    return printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _printed(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(printable(each) if isinstance(each, str) else each for each in row)


def _width() -> int | None:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


destinations = typer.Typer(
    help="What is sent where, how that goes, and what was refused.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
destinations.command("list")(listed)
destinations.command("show")(show)
destinations.command("test")(test)
destinations.command("check")(check)
destinations.command("replay")(replay)
destinations.command("dead-letters")(dead_letters)
destinations.command("catalog")(catalog)
destinations.command("delete")(delete)
