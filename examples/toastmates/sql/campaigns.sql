-- Measure the ROI of your marketing campaigns: store visits, product views, orders, revenue.
--
-- Answers: how many people each campaign brought to the store, how many of them viewed a product
-- and ordered within 30 days of that visit, and what those orders were worth.
--
-- Corrected, against the guide:
--   * the guide joins visits, views and orders of a user row by row, so 2 visits, 3 views and
--     2 orders count 12 times each: here every table is reduced to one row per person first
--   * only what follows the visit, by less than 30 days, is credited to the campaign
--   * anonymous visits and views belong to the user the visitor became (people)
--   * alias l did not exist; group by 5 grouped by the sum; the join with users did nothing
--   * an order sent twice under one order_id counts once
--   * "timestamp" (when it happened), not received_at (when it was imported)
--   * money is summed as decimal; refunds are not taken off
--
-- An order that follows visits of two campaigns counts for both.
with

people as (
    select  anonymous_id,
            min(user_id) as user_id
      from  toastmates.identifies
     where  anonymous_id is not null
       and  user_id is not null
  group by  anonymous_id
),

visits as (
    select  coalesce(p.user_id, i.user_id, p.anonymous_id) as person,
            p.context_campaign_name as campaign,
            min(p."timestamp") as visited_at
      from  toastmates.pages p
 left join  people i
        on  i.anonymous_id = p.anonymous_id
     where  p.context_campaign_name is not null
       and  p.url ilike '%toastmates.com/store%'
  group by  1, 2
),

views as (
    select  coalesce(v.user_id, i.user_id, v.anonymous_id) as person,
            v."timestamp" as viewed_at
      from  toastmates.product_viewed v
 left join  people i
        on  i.anonymous_id = v.anonymous_id
),

viewers as (
    select  s.person,
            s.campaign,
            min(v.viewed_at) as viewed_at
      from  visits s
      join  views v
        on  v.person = s.person
       and  v.viewed_at >= s.visited_at
       and  v.viewed_at < dateadd('day', 30, s.visited_at)
  group by  s.person, s.campaign
),

orders as (
    select  coalesce(o.user_id, i.user_id, o.anonymous_id) as person,
            coalesce(o.order_id, o.id) as order_id,
            max(cast(o.total as decimal(12, 2))) as total,
            min(o."timestamp") as ordered_at
      from  toastmates.order_completed o
 left join  people i
        on  i.anonymous_id = o.anonymous_id
  group by  1, 2
),

buyers as (
    select  s.person,
            s.campaign,
            count(*) as orders,
            sum(o.total) as revenue
      from  visits s
      join  orders o
        on  o.person = s.person
       and  o.ordered_at >= s.visited_at
       and  o.ordered_at < dateadd('day', 30, s.visited_at)
  group by  s.person, s.campaign
)

    select  s.campaign,
            count(*) as store_visits,
            count(v.person) as product_views,
            cast(sum(coalesce(b.orders, 0)) as bigint) as orders_completed,
            cast(sum(coalesce(b.revenue, 0)) as decimal(12, 2)) as total_revenue
      from  visits s
 left join  viewers v
        on  v.person = s.person
       and  v.campaign = s.campaign
 left join  buyers b
        on  b.person = s.person
       and  b.campaign = s.campaign
  group by  s.campaign
  order by  s.campaign
