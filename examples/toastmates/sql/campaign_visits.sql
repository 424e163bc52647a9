-- Measure the ROI of your marketing campaigns: the funnel of each customer (the guide's Result 1).
--
-- Answers: when each person first came to the store through a campaign, when they first viewed a
-- product afterwards, and when they first ordered; empty where that never happened in 30 days.
--
-- Corrected, against the guide:
--   * one row per person and campaign, instead of one per visit, view and order combined
--   * only what follows the visit, by less than 30 days
--   * anonymous visits and views belong to the user the visitor became (people)
--   * alias l did not exist; the columns have the names the guide shows
--   * "timestamp" (when it happened), not received_at (when it was imported)
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
            min(o.ordered_at) as ordered_at
      from  visits s
      join  orders o
        on  o.person = s.person
       and  o.ordered_at >= s.visited_at
       and  o.ordered_at < dateadd('day', 30, s.visited_at)
  group by  s.person, s.campaign
)

    select  s.person as user_id,
            s.visited_at as store_visited,
            v.viewed_at as product_viewed,
            b.ordered_at as order_completed,
            s.campaign
      from  visits s
 left join  viewers v
        on  v.person = s.person
       and  v.campaign = s.campaign
 left join  buyers b
        on  b.person = s.person
       and  b.campaign = s.campaign
  order by  s.campaign, s.visited_at desc, s.person
