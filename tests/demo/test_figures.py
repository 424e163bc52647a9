"""The guides' figures come out of the shipped SQL, to the cent, whatever the seed and scale."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from rich.console import Console

from penstock.demo import TABLES, Simulation, compare, load_sql, render
from tests.demo.warehouse import Warehouse

City = tuple[Simulation, Warehouse]

CAMPAIGNS = [
    ("national-toast-day", 689, 435, 239, Decimal("3100.37")),
    ("toast-your-friend", 1382, 734, 318, Decimal("3824.68")),
]
CHANNELS = {
    ("paid-social", 91, 14, 11, Decimal("341.32")),
    ("organic-social", 43, 14, 10, Decimal("211.46")),
    ("display", 41, 12, 6, Decimal("89.79")),
    ("news", 166, 92, 43, Decimal("510.34")),
    ("email", 348, 303, 169, Decimal("1947.46")),
}
CUSTOMERS = {
    ("beastlee@gmail.com", 21, 1, 147, "33.82"),
    ("lisa.d@uninix.com", 16, 2, 129, "15.24"),
    ("sherri@uberise.com", 13, 11, 170, "26.48"),
    ("erin@comist.com", 10, 21, 142, "47.63"),
    ("ramona@susose.io", 7, 49, 177, "23.61"),
    ("eva@calcise.co", 7, 18, 146, "26.10"),
    ("dinnernugget@gmail.com", 7, 84, 180, "16.53"),
    ("sheila.soto@twimbo.com", 7, 4, 169, "15.45"),
    ("carolyn.g@supraijo.com", 6, 154, 171, "36.16"),
    ("horace@conible.co.uk", 6, 70, 167, "19.16"),
    ("erin@wilderson.com", 6, 44, 150, "21.79"),
    ("b@yakimbee.io", 6, 4, 149, "39.46"),
}
TIMELINE = [
    ("Order Completed", "04:23:09"),
    ("/store/checkout", "04:19:52"),
    ("Product Added", "04:16:25"),
    ("Product Added", "04:13:12"),
    ("Product Viewed", "04:12:43"),
    ("/store/items/natoma", "04:12:43"),
    ("/store/?utm_campaign=national-toast-day", "04:07:02"),
    ("Email Link Clicked", "04:07:01"),
]
# guides.md §11, "Correct counting", with the event's own time instead of its import.
REFERENCE = """
with visits as (
  select user_id, context_campaign_name as campaign, min("timestamp") as visited_at,
         count(*) as visits
  from toastmates.pages
  where context_campaign_name is not null and url ilike '%toastmates.com/store%' group by 1,2),
views as (
  select v.user_id, v.campaign, min(e."timestamp") as viewed_at
  from visits v join toastmates.product_viewed e on e.user_id = v.user_id
   and e."timestamp" >= v.visited_at and e."timestamp" < dateadd('day', 30, v.visited_at)
  group by 1,2),
orders as (
  select v.user_id, v.campaign, count(distinct e.order_id) as orders, sum(e.total) as revenue
  from visits v join toastmates.order_completed e on e.user_id = v.user_id
   and e."timestamp" >= v.visited_at and e."timestamp" < dateadd('day', 30, v.visited_at)
  group by 1,2)
select v.campaign, sum(v.visits), count(*), count(w.user_id), count(o.user_id),
       sum(o.orders), cast(sum(o.revenue) as decimal(12, 2))
from visits v left join views w using (user_id, campaign) left join orders o
     using (user_id, campaign)
group by 1 order by 1
"""


def test_the_ledger_and_the_warehouse_agree(city: City) -> None:
    simulation, warehouse = city

    assert compare(simulation.ledger, warehouse.query) == []


def test_campaigns(city: City) -> None:
    _, rows = city[1].query(load_sql("campaigns"))

    assert rows == CAMPAIGNS


def test_campaigns_as_the_specification_counts_them(city: City) -> None:
    _, rows = city[1].query(REFERENCE)

    assert rows == [
        (name, visits, visits, views, orders, orders, revenue)
        for name, visits, views, orders, revenue in CAMPAIGNS
    ]


def test_channels(city: City) -> None:
    _, rows = city[1].query(load_sql("channels"))

    assert set(rows) == CHANNELS
    assert [row[0] for row in rows] == sorted((row[0] for row in rows), reverse=True)


def test_return_on_investment(city: City) -> None:
    rows = city[1].records(load_sql("roi"))

    assert [(row["total_cost"], row["roi_percent"]) for row in rows] == [
        (2500, Decimal("24.01")),
        (3000, Decimal("27.49")),
    ]


def test_the_guides_first_visitors(city: City) -> None:
    rows = {row["user_id"]: row for row in city[1].records(load_sql("campaign_visits"))}

    assert len(rows) == 689 + 1382 - 42
    bought = rows["R4its9KVLx"]
    clocks = [bought[name].time().isoformat() for name in bought if name.endswith("ed")]
    assert clocks == ["16:28:53", "16:31:24", "16:42:31"]
    assert rows["6KvVN5Mh9G"]["order_completed"] is None
    assert rows["IpOlWKnTOB"]["product_viewed"] is None
    assert rows["8RHuQwJwpN"]["campaign"] == "toast-your-friend"


def test_twelve_customers_lead_the_list(city: City) -> None:
    _, rows = city[1].query(load_sql("rfm"))

    assert {(*row[:4], f"{row[4]:.2f}") for row in rows[:12]} == CUSTOMERS
    assert rows[12][1] < 6


def test_coupon_funnels(city: City) -> None:
    control = city[1].query(load_sql("coupon_funnel_control"))[1]
    emailed = city[1].query(load_sql("coupon_funnel_emailed"))[1]

    assert [row[2] for row in control] == [233, 98, 66]
    assert [row[2] for row in emailed] == [758, 560, 168, 134, 95]


def test_the_loyal_cohort_is_the_experiment(city: City) -> None:
    simulation, warehouse = city
    since = simulation.ledger.as_of - timedelta(days=30)
    cohort = f"""
        select user_id from toastmates.order_completed where "timestamp" >= '{since}'
        group by 1 having count(*) > 2 and max(revenue) >= 20 and max(total) > 20
    """
    assigned = "select user_id from toastmates.experiment_viewed"

    assert set(warehouse.query(cohort)[1]) == set(warehouse.query(assigned)[1])
    assert simulation.ledger.arms == {"control": 742, "coupon": 758}


def test_timeline_of_one_user(city: City) -> None:
    _, rows = city[1].query(load_sql("user_timeline"))

    shown = [
        (row[0][: len(what)], row[1].time().isoformat())
        for row, (what, _) in zip(rows, TIMELINE, strict=True)
    ]
    assert shown == TIMELINE


def test_rendered_tables(one: City) -> None:
    console = Console(width=80)
    with console.capture() as capture:
        for table in TABLES:
            console.print(render(table, one[1].query))
    text = capture.get()

    for shown in ("national-toast-day", "$3,100.37", "1,382", "24.01 %", "27.49 %", "$1,947.46"):
        assert shown in text
    assert text.count("$3,100.37") == 3  # the campaign, the sum of its channels, its revenue
