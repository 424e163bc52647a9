"""``penstock profiles`` and ``penstock audiences``: who is known, and who is in what."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from penstock.cli.engine_api import UrlOption
from penstock.cli.options import DataOption, JsonOption, UsageError, printable
from penstock.cli.profiles_access import opened_access
from penstock.cli.tables import as_table

__all__ = ["audiences", "profiles"]

Json = Any
Slug = Annotated[str, typer.Argument(metavar="<slug>", help="Slug of the audience.")]
SpaceOption = Annotated[
    str, typer.Option("--space", metavar="<slug>", help="The space that is meant.")
]
_MOST_SHOWN = 10


def show_profile(
    profile: Annotated[
        str, typer.Argument(metavar="<type:id>", help="Any id, such as user_id:u1.")
    ],
    why: Annotated[
        str | None,
        typer.Option(metavar="<slug>", help="Say why the person is in this audience, or is not."),
    ] = None,
    space: SpaceOption = "default",
    url: UrlOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a person: ids, traits, audiences and accounts.

    Example: penstock profiles show user_id:u1
    """
    if not profile.partition(":")[2]:
        raise UsageError("give a type and an id, such as user_id:u1")
    with opened_access(url, data) as access:
        found = access.profile(profile, space, why)
    if as_json:
        typer.echo(json.dumps(found))
        return
    head = [
        ("profile", found["profile"]),
        ("events", f"{found['events']}, the first at {found['created']}"),
        *((one["type"], printable(one["value"])) for one in found["ids"]),
        *(("account", printable(one)) for one in found["accounts"]),
    ]
    typer.echo(as_table([], head), nl=False)
    rows = [
        (printable(one["name"]), _text(one["value"]), one["kind"], one["source"])
        for one in found["traits"]
    ]
    if rows:
        typer.echo()
        typer.echo(as_table(["trait", "value", "kind", "source"], rows), nl=False)
    for one in found["why"]:
        verb = "is" if one["member"] else "is not"
        typer.echo(f"\n{verb} in {one['audience']}:")
        _explain(one["condition"], 0)


def _explain(part: Json, depth: int) -> None:
    mark = "yes" if part["holds"] else "no"
    found = part.get("found")
    told = (
        "" if found is None else f" ({'at least ' if part.get('at_least') else ''}{_text(found)})"
    )
    typer.echo(f"{'  ' * depth}{mark}{told}: {printable(part['condition'])}")
    for one in part.get("of", ()):
        _explain(one, depth + 1)


def list_audiences(
    url: UrlOption = None, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """List audiences with their state and size.

    Example: penstock audiences list
    """
    with opened_access(url, data) as access:
        found = access.audiences()
    if as_json:
        short = [{key: one[key] for key in ("definition", "state", "size")} for one in found]
        typer.echo(json.dumps(short))
        return
    rows = [
        (one["definition"]["slug"], one["state"], one["size"], _when(one["definition"]))
        for one in found
    ]
    typer.echo(
        as_table(["audience", "state", "size", "when"], rows, right=[False, False, True, False]),
        nl=False,
    )


def show_audience(
    slug: Slug,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=1000, help="Most members to give.")
    ] = 100,
    after: Annotated[
        int, typer.Option(min=0, metavar="<next>", help="`next` of the page before.")
    ] = 0,
    url: UrlOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show an audience: definition, state, sizes, and a page of its members.

    Example: penstock audiences show loyal --json
    """
    with opened_access(url, data) as access:
        found = access.audience(slug)
        if found["state"] != "waiting":
            found["members"] = access.members(slug, after, limit)
    if as_json:
        typer.echo(json.dumps(found))
        return
    head = [
        ("when", _when(found["definition"])),
        ("state", found["state"]),
        ("size", found["size"]),
        *((one["day"], one["size"]) for one in found["sizes"][-_MOST_SHOWN:]),
    ]
    typer.echo(as_table([], head), nl=False)
    _print_members(found["members"]["items"])
    if found["members"]["next"]:
        typer.echo(f"more with --after {found['members']['next']}")


def preview_audience(
    when: Annotated[str, typer.Argument(metavar="<condition>", help="The condition.")],
    include_anonymous: Annotated[
        bool, typer.Option("--include-anonymous", help="Count those known by a browser alone.")
    ] = False,
    space: SpaceOption = "default",
    url: UrlOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Count who would be in an audience now, and show some of them; nothing is stored.

    Example: penstock audiences preview 'did "Order Completed" within 30 days'
    """
    with opened_access(url, data) as access:
        found = access.preview(when, space, include_anonymous)
    if as_json:
        typer.echo(json.dumps(found))
        return
    typer.echo(f"{found['size']} of {found['people']} people")
    _print_members(found["sample"])


def _print_members(members: list[Json]) -> None:
    if not members:
        return
    rows = [
        (one["profile"], ", ".join(printable(f"{each['type']}:{each['value']}")
                                   for each in one["ids"]))
        for one in members
    ]  # fmt: skip
    typer.echo()
    typer.echo(as_table(["profile", "ids"], rows), nl=False)


def _when(definition: Json) -> str:
    return _text(definition["when"])


def _text(value: Json) -> str:
    return printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


profiles = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Who is known: ids, traits, and why somebody is in an audience.",
)
profiles.command("show")(show_profile)


@profiles.callback()
def _group() -> None:
    """With one command alone it would be the group itself."""


audiences = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Who is in which audience, and who would be."
)
audiences.command("list")(list_audiences)
audiences.command("show")(show_audience)
audiences.command("preview")(preview_audience)
