"""Visits, views, orders and revenue of campaigns and their channels."""

from __future__ import annotations

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
    """Of ``DIMENSIONS``. A person counts where the first visit for the campaign came from, so
    that channels add up to their campaign."""
    campaign: str | None = None
    """Only this one."""
    url: str = ""
    """Text in the address of the pages that count as visits; empty: any page."""
    window_days: int = 30
    """Views and orders count from the first visit, and before it is this many days old."""
    identity: Identity = "resolved"


_STATEMENT = """with people as ({people}), pages as ({pages}),
visits as (
  select p.*, row_number() over (partition by person, context_campaign_name order by happened, id)
    as place, count(*) over (partition by person, context_campaign_name) as visits
  from pages p),
firsts as (select * from visits where place = 1),
views as ({views}),
viewers as (
  select f.person, f.context_campaign_name, count(*) as views
  from firsts f join views v on v.person = f.person and v.happened >= f.happened
    and v.happened < f.happened + interval '{days}' day group by 1, 2),
order_events as ({orders}),
orders as (
  select person, coalesce(order_id, id) as order_id, min(happened) as happened,
    max(cast(total as decimal(18, 2))) as total from order_events group by 1, 2),
buyers as (
  select f.person, f.context_campaign_name, count(*) as orders, sum(o.total) as revenue
  from firsts f join orders o on o.person = f.person and o.happened >= f.happened
    and o.happened < f.happened + interval '{days}' day group by 1, 2)
select {keys}, cast(sum(f.visits) as bigint) as visits, count(*) as visitors,
  cast(coalesce(sum(v.views), 0) as bigint) as views, count(v.person) as viewers,
  cast(coalesce(sum(b.orders), 0) as bigint) as orders, count(b.person) as buyers,
  cast(coalesce(sum(b.revenue), 0) as decimal(18, 2)) as revenue
from firsts f
left join viewers v on v.person = f.person and v.context_campaign_name = f.context_campaign_name
left join buyers b on b.person = f.person and b.context_campaign_name = f.context_campaign_name
group by {places} order by {places}"""


def campaigns(asked: Campaigns, catalog: Catalog) -> Answer:
    """A row for each group: visits and people, with the orders that followed.

    An order sent twice under one ``order_id`` counts once. An order after visits of two campaigns
    counts for both. Raises ConfigurationError for a dimension there is not.
    """
    unknown = [part for part in asked.by if part not in DIMENSIONS]
    if unknown or not asked.by:
        raise ConfigurationError(
            f"campaigns can't be grouped by {', '.join(unknown) or 'nothing'}; "
            f"choose of {', '.join(DIMENSIONS)}"
        )
    reading = Reading(catalog, asked.sources, asked.identity)
    where = ["t.context_campaign_name is not null"]
    if asked.campaign is not None:
        where.append(f"t.context_campaign_name = {literal(asked.campaign)}")
    if asked.url:
        where.append(f"strpos(lower(t.url), {literal(asked.url.lower())}) > 0")
    sql = _STATEMENT.format(
        people=reading.people(),
        pages=reading.events("pages", ("url", *DIMENSIONS.values()), " and ".join(where)),
        views=reading.events("product_viewed", ()),
        orders=reading.events("order_completed", ("order_id", "total")),
        days=int(asked.window_days),
        keys=", ".join(f"f.{DIMENSIONS[part]} as {part}" for part in asked.by),
        places=", ".join(str(place + 1) for place in range(len(asked.by))),
    )
    return Answer(sql, tuple(reading.missing))
