"""``penstock report``: the figures of campaigns, channels and funnels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import typer

from penstock.cli.engine_api import UrlOption
from penstock.cli.options import DataOption, UsageError
from penstock.cli.sql import Format, ask, check_form, put_out
from penstock.reports.campaigns import DIMENSIONS, Campaigns, campaigns
from penstock.reports.contract import Answer, Catalog, Identity, read_catalog
from penstock.reports.funnel import Funnel, Step, funnel
from penstock.warehouses.naming import event_table
from penstock.warehouses.rows import python_values

__all__ = ["report"]

_OWN = frozenset({"penstock", "profiles", "information_schema", "pg_catalog", "main"})
_STEP = re.compile(r"(?P<event>[^\[\]]+?)\s*(?:\[(?P<where>.*)\])?\s*")
SourceOption = Annotated[
    list[str] | None,
    typer.Option("--source", metavar="<slug>", help="Only this source; may be given again."),
]
WindowOption = Annotated[
    int,
    typer.Option(
        "--window", min=1, max=36_500, metavar="<days>", help="Days from the first of them."
    ),
]
RawOption = Annotated[
    bool, typer.Option("--raw", help="Do not join visits from before somebody logged in.")
]
ExplainOption = Annotated[
    bool, typer.Option("--explain", help="Print the SQL behind the figures instead.")
]
FormatOption = Annotated[
    Format, typer.Option("--format", metavar="<format>", help="table, csv, json or parquet.")
]
OutputOption = Annotated[
    Path | None, typer.Option("-o", "--output", help="Write to a file instead.")
]
UrlPartOption = Annotated[
    str, typer.Option("--page", metavar="<text>", help="Visits are pages with this in their URL.")
]


class _Asking:
    """The warehouse, and how the figures are to come out."""

    def __init__(self, url: str | None, data: Path | None, form: Format, output: Path | None,
                 *, explain: bool) -> None:  # fmt: skip
        check_form(form, output)
        self._url = url
        self._data = data
        self._form = form
        self._output = output
        self._explain = explain
        self.catalog: Catalog = read_catalog(self._rows)

    def _rows(self, sql: str) -> tuple[Sequence[str], Sequence[Sequence[Any]]]:
        found = ask(sql, None, self._url, self._data)
        columns = [python_values(column) for column in found.columns]
        return found.column_names, list(zip(*columns, strict=True))

    def sources(self, wanted: list[str] | None) -> tuple[str, ...]:
        """Those that were named, or all that have events. Raises UsageError."""
        there = [
            schema
            for schema, tables in sorted(self.catalog.items())
            if schema not in _OWN and {"tracks", "pages", "screens", "identifies"} & tables.keys()
        ]
        unknown = set(wanted or ()) - set(there)
        if unknown:
            known = ", ".join(there) or "none has any yet"
            raise UsageError(f"no events of {', '.join(sorted(unknown))}; of these: {known}")
        return tuple(wanted or there)

    def put_out(self, answer: Answer) -> None:
        """The rows, or the statement behind them; on the error output what there was not."""
        if self._explain:
            typer.echo(answer.sql)
            return
        found: pa.Table = ask(answer.sql, None, self._url, self._data)
        for name in answer.missing:
            kind = "table" if name.count(".") == 1 else "column"
            typer.echo(f"no {kind} {name} yet: it counts as empty", err=True)
        put_out(found, self._form, self._output)


def of_campaigns(
    by: Annotated[
        str, typer.Option(metavar="<parts>", help=f"By which, of {', '.join(DIMENSIONS)}.")
    ] = "campaign",
    campaign: Annotated[
        str | None, typer.Option(metavar="<name>", help="Only this campaign.")
    ] = None,
    page: UrlPartOption = "",
    window: WindowOption = 30,
    source: SourceOption = None,
    raw: RawOption = False,
    explain: ExplainOption = False,
    form: FormatOption = Format.table,
    output: OutputOption = None,
    url: UrlOption = None,
    data: DataOption = None,
) -> None:
    """Visits of campaigns, and the views and orders that followed them.

    A person counts for a campaign from the first visit on; views and orders count when they come
    within the window after it, each once. By medium too, a person counts where the first visit for
    the campaign came from, so that channels add up to their campaign.

    Example: penstock report campaigns --by campaign,medium
    """
    asking = _Asking(url, data, form, output, explain=explain)
    asked = Campaigns(
        asking.sources(source), tuple(by.replace(" ", "").split(",")), campaign, page, window,
        _identity(raw),
    )  # fmt: skip
    asking.put_out(campaigns(asked, asking.catalog))


def of_channels(
    campaign: Annotated[
        str | None, typer.Option(metavar="<name>", help="Only this campaign.")
    ] = None,
    page: UrlPartOption = "",
    window: WindowOption = 30,
    source: SourceOption = None,
    raw: RawOption = False,
    explain: ExplainOption = False,
    form: FormatOption = Format.table,
    output: OutputOption = None,
    url: UrlOption = None,
    data: DataOption = None,
) -> None:
    """Campaigns by medium: what `report campaigns --by campaign,medium` says.

    Example: penstock report channels --campaign national-toast-day
    """
    asking = _Asking(url, data, form, output, explain=explain)
    asked = Campaigns(
        asking.sources(source), ("campaign", "medium"), campaign, page, window, _identity(raw)
    )
    asking.put_out(campaigns(asked, asking.catalog))


def of_funnel(
    steps: Annotated[
        list[str],
        typer.Argument(
            metavar="<step>...",
            help="Events in order, such as 'Product Added' or 'Email Opened[campaign_id=a]'.",
        ),
    ],
    after: Annotated[
        str | None,
        typer.Option(metavar="<step>", help="Only people with this event, from its first on."),
    ] = None,
    window: WindowOption = 30,
    source: SourceOption = None,
    raw: RawOption = False,
    explain: ExplainOption = False,
    form: FormatOption = Format.table,
    output: OutputOption = None,
    url: UrlOption = None,
    data: DataOption = None,
) -> None:
    """How many people took steps one after the other.

    In brackets stand columns of the event's table and the values they must have. `pages` and
    `screens` are steps too: 'screens[name=Main Landing Screen]'. Somebody who does steps out of
    order counts up to the last one in order.

    Example: penstock report funnel "Product Viewed" "Product Added" "Order Completed" --window 7
    """
    asking = _Asking(url, data, form, output, explain=explain)
    asked = Funnel(
        asking.sources(source),
        tuple(_step(one) for one in steps),
        window,
        None if after is None else _step(after),
        _identity(raw),
    )
    asking.put_out(funnel(asked, asking.catalog))


def _step(text: str) -> Step:
    match = _STEP.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r}: write a step as 'Event Name' or 'Event Name[column=value]'")
    where = []
    for part in (match["where"] or "").split(","):
        if not part.strip():
            continue
        column, sign, value = part.partition("=")
        if not sign:
            raise UsageError(f"{text!r}: {part.strip()!r} is no column=value")
        where.append((column.strip(), value.strip()))
    event = match["event"]
    table = event if event in ("pages", "screens") else event_table(event)
    if not table:
        raise UsageError(f"{text!r} can't be the name of an event")
    return Step(table, tuple(where))


def _identity(raw: bool) -> Identity:
    return "raw" if raw else "resolved"


report = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)
report.command("campaigns")(of_campaigns)
report.command("channels")(of_channels)
report.command("funnel")(of_funnel)
