"""Careless SQL gives other figures, so the demo's figures prove something."""

from __future__ import annotations

import pytest

from penstock.demo import Simulation, load_sql
from tests.demo.warehouse import Warehouse

City = tuple[Simulation, Warehouse]

NAIVE = """
with page_viewed as (
    select p."timestamp" as page_viewed_at, p.context_campaign_name, p.user_id
      from toastmates.pages p
     where p.context_campaign_name is not null and p.url ilike '%toastmates.com/store%'
),
product_viewed as (
    select v."timestamp" as product_viewed_at, v.user_id from toastmates.product_viewed v
),
order_completed as (
    select c."timestamp" as order_completed_at, c.total, c.user_id
      from toastmates.order_completed c
)
select p.context_campaign_name, count(page_viewed_at), count(product_viewed_at),
       count(order_completed_at), sum(total)
  from page_viewed p
  left join product_viewed v on p.user_id = v.user_id
  left join order_completed c on p.user_id = c.user_id
 group by 1 order by 1
"""
"""The guide's query, repaired only until it runs."""
RIGHT = {
    "national-toast-day": (689, 435, 239, 3100.37),
    "toast-your-friend": (1382, 734, 318, 3824.68),
}


def campaigns(warehouse: Warehouse, sql: str) -> dict[str, tuple[float, ...]]:
    _, rows = warehouse.query(sql)
    return {row[0]: tuple(float(value) for value in row[1:5]) for row in rows}


def test_the_guides_join_is_wrong_in_every_figure(one: City) -> None:
    got = campaigns(one[1], NAIVE)

    for name, right in RIGHT.items():
        assert all(wrong > figure for wrong, figure in zip(got[name], right, strict=True))


@pytest.mark.parametrize(
    ("left_out", "wrong"),
    [
        ("and  o.ordered_at < dateadd('day', 30, s.visited_at)", 2),
        ("and  o.ordered_at >= s.visited_at", 2),
        ("and  v.viewed_at < dateadd('day', 30, s.visited_at)", 1),
        ("and  v.viewed_at >= s.visited_at", 1),
        ("and  p.url ilike '%toastmates.com/store%'", 0),
    ],
)
def test_every_condition_of_the_corrected_query_matters(
    one: City, left_out: str, wrong: int
) -> None:
    sql = load_sql("campaigns")
    assert left_out in sql
    got = campaigns(one[1], sql.replace(left_out, ""))

    for name, right in RIGHT.items():
        assert got[name][wrong] > right[wrong]


def test_people_who_saw_both_campaigns_are_credited_once(one: City) -> None:
    warehouse = one[1]
    both = warehouse.query(
        "select user_id from toastmates.pages where context_campaign_name is not null "
        "and url ilike '%/store%' group by 1 having count(distinct context_campaign_name) = 2"
    )[1]

    assert len(both) == 42


def test_anonymous_visitors_belong_to_the_user_they_became(one: City) -> None:
    connection = one[1].connection
    connection.execute("begin")
    try:
        connection.execute(
            "update toastmates.pages set user_id = null where context_campaign_name is not null;"
            "update toastmates.product_viewed set user_id = null"
        )
        got = campaigns(one[1], load_sql("campaigns"))
        assert set(got["national-toast-day"]) == set(RIGHT["national-toast-day"])
    finally:
        connection.execute("rollback")


def test_the_guides_frequency_query_matches_nobody(one: City) -> None:
    sql = load_sql("rfm").replace("u.id = o.user_id", "u.email = o.user_id")

    assert one[1].query(sql)[1] == []


def test_counting_checkouts_misses_orders(one: City) -> None:
    sql = load_sql("rfm").replace("distinct o.order_id", "distinct o.checkout_id")

    assert one[1].query(sql)[1][0][1] == 20


def test_orders_older_than_six_months_are_left_out(one: City) -> None:
    warehouse = one[1]
    everyone = warehouse.query("select count(distinct user_id) from toastmates.order_completed")

    assert everyone[1][0][0] > len(warehouse.query(load_sql("rfm"))[1])


def test_the_guides_subject_finds_no_mail(one: City) -> None:
    rows = one[1].query(
        "select count(*) from toastmates.email_delivered where email_subject = 'We Loaf You'"
    )[1]

    assert rows[0][0] == 0


@pytest.mark.parametrize("event", ["added", "ordered"])
def test_steps_out_of_order_do_not_count(one: City, event: str) -> None:
    condition = {
        "added": 'and  p."timestamp" > l.landed_at',
        "ordered": 'and  o."timestamp" > a.added_at',
    }[event]
    sql = load_sql("coupon_funnel_control")
    assert condition in sql
    got = [row[2] for row in one[1].query(sql.replace(condition, ""))[1]]

    assert got != [233, 98, 66]


def test_a_step_after_31_days_does_not_count(one: City) -> None:
    connection = one[1].connection
    connection.execute("begin")
    try:
        connection.execute(
            'update toastmates.email_opened set "timestamp" = "timestamp" + interval 31 day '
            "where campaign_id = 'coupon-loyalty'"
        )
        rows = one[1].query(load_sql("coupon_funnel_emailed"))[1]
        assert [row[2] for row in rows] == [758, 0, 0, 0, 0]
    finally:
        connection.execute("rollback")
