"""Visits, views, orders and revenue of campaigns and their channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from penstock.errors import ConfigurationError
from penstock.reports.contract import Answer, Catalog, Identity
from penstock.reports.people import Reading, literal

__all__ = ["DIMENSIONS", "Campaigns", "campaigns"]

DIMENSIONS = {
    "campaign": "context_campaign_name",
    "medium": "context_campaign_medium",
    "source": "context_campaign_source",
    "content": "context_campaign_content",
    "term": "context_campaign_term",
}


@dataclass(frozen=True, slots=True)
class Campaigns:
    """What to count."""

    sources: tuple[str, ...]
    by: tuple[str, ...] = ("campaign",)
    """Of ``DIMENSIONS``. With the campaign among them, or with ``campaign``, a person counts where
    the first visit for the campaign came from, so that channels add up to their campaign. Without,
    a person counts once in every row they visited through."""
    campaign: str | None = None
    """Only this one."""
    url: str = ""
    """Text in the address of the pages that count as visits; empty: any page."""
    window_days: int = 30
    """Views and orders count from the first visit, and before it is this many days old."""
    identity: Identity = "resolved"


_STATEMENT = """with people as ({people}), pages as ({pages}),
keyed as (select p.*, {keyed} from pages p),
visits as (
  select k.*, row_number() over (partition by person, {key} order by happened, id) as place,
    count(*) over (partition by person, {key}) as visits
  from keyed k),
firsts as (select * from visits where place = 1),
views as ({views}),
viewers as (
  select f.person, {first_key}, count(*) as views
  from firsts f join views v on v.person = f.person and v.happened >= f.happened
    and v.happened < f.happened + interval '{days}' day group by f.person, {first_key}),
order_events as ({orders}),
orders as (
  select person, coalesce(cast(order_id as varchar), id) as order_id, min(happened) as happened,
    max(try_cast(total as decimal(18, 2))) as total from order_events group by 1, 2),
buyers as (
  select f.person, {first_key}, count(*) as orders, sum(o.total) as revenue
  from firsts f join orders o on o.person = f.person and o.happened >= f.happened
    and o.happened < f.happened + interval '{days}' day group by f.person, {first_key})
select {columns}, cast(sum(f.visits) as bigint) as visits, count(*) as visitors,
  cast(coalesce(sum(v.views), 0) as bigint) as views, count(v.person) as viewers,
  cast(coalesce(sum(b.orders), 0) as bigint) as orders, count(b.person) as buyers,
  cast(coalesce(sum(b.revenue), 0) as decimal(28, 2)) as revenue
from firsts f
left join viewers v on v.person = f.person and {viewer}
left join buyers b on b.person = f.person and {buyer}
group by {places} order by {places}"""


def campaigns(asked: Campaigns, catalog: Catalog) -> Answer:
    """A row for each group: visits and people, with the orders that followed.

    An order sent twice under one ``order_id`` counts once; a total that is no number adds nothing.
    An order after visits of two campaigns counts for both, but once in a row. Raises
    ConfigurationError for a dimension there is not.
    """
    unknown = [part for part in asked.by if part not in DIMENSIONS]
    if unknown or not asked.by:
        raise ConfigurationError(
            f"campaigns can't be grouped by {', '.join(unknown) or 'nothing'}; "
            f"choose of {', '.join(DIMENSIONS)}"
        )
    reading = Reading(catalog, asked.sources, asked.identity)
    tag = "cast(t.context_campaign_name as varchar)"
    where = [f"{tag} <> ''"]
    if asked.campaign is not None:
        where.append(f"{tag} = {literal(asked.campaign)}")
    if asked.url:
        part = literal(asked.url.lower())
        where.append(f"strpos(lower(cast(t.url as varchar)), {part}) > 0")
    whole = asked.campaign is not None or "campaign" in asked.by
    keys = [DIMENSIONS[part] for part in (("campaign",) if whole else asked.by)]
    needed = dict.fromkeys((DIMENSIONS["campaign"], *(DIMENSIONS[part] for part in asked.by)))
    sql = _STATEMENT.format(
        people=reading.people(),
        pages=reading.events(
            "pages", (*needed, *(("url",) if asked.url else ())), " and ".join(where)
        ),
        **_keys(keys),
        views=reading.events("product_viewed", ()),
        orders=reading.events("order_completed", ("order_id", "total")),
        days=int(asked.window_days),
        columns=", ".join(f"f.{DIMENSIONS[part]} as {part}" for part in asked.by),
        places=", ".join(str(place + 1) for place in range(len(asked.by))),
    )
    return Answer(sql, tuple(reading.missing))


def _keys(columns: Sequence[str]) -> dict[str, str]:
    """Fragments by which visits belong together; a tag that is not there is one of its own."""
    names = [f"key_{place}" for place in range(1, len(columns) + 1)]

    def equal(other: str) -> str:
        return " and ".join(f"{other}.{key} = f.{key}" for key in names)

    return {
        "keyed": ", ".join(
            f"coalesce(cast({column} as varchar), '') as {key}"
            for column, key in zip(columns, names, strict=True)
        ),
        "key": ", ".join(names),
        "first_key": ", ".join(f"f.{key}" for key in names),
        "viewer": equal("v"),
        "buyer": equal("b"),
    }
