-- Measure the ROI of your marketing campaigns: the channels of National Toast Day.
--
-- Answers: the numbers of campaigns.sql for one campaign, by utm_medium.
--
-- Corrected, against the guide:
--   * medium is selected before it is used; the views were joined through a column, on the alias
--     of a table joined only later; site.pages and toastmates.pages are one schema
--   * one row per person and medium, instead of one per visit, view and order combined
--   * only what follows the visit, by less than 30 days
--   * an order counts for the medium of the last tagged visit before it, so the revenue of the
--     channels adds up to the campaign's, also when a person came through several
--   * anonymous visits and views belong to the user the visitor became (people)
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

touches as (
    select  coalesce(p.user_id, i.user_id, p.anonymous_id) as person,
            p.context_campaign_medium as utm_medium,
            p."timestamp" as visited_at
      from  toastmates.pages p
 left join  people i
        on  i.anonymous_id = p.anonymous_id
     where  p.context_campaign_name = 'national-toast-day'
       and  p.context_campaign_medium is not null
       and  p.url ilike '%toastmates.com/store%'
),

visits as (
    select  t.person,
            t.utm_medium,
            min(t.visited_at) as visited_at
      from  touches t
  group by  t.person, t.utm_medium
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
            s.utm_medium,
            min(v.viewed_at) as viewed_at
      from  visits s
      join  views v
        on  v.person = s.person
       and  v.viewed_at >= s.visited_at
       and  v.viewed_at < dateadd('day', 30, s.visited_at)
  group by  s.person, s.utm_medium
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

credits as (
    select  t.person,
            t.utm_medium,
            o.total,
            row_number() over (
                partition by o.person, o.order_id order by t.visited_at desc, t.utm_medium
            ) as place
      from  touches t
      join  orders o
        on  o.person = t.person
       and  o.ordered_at >= t.visited_at
       and  o.ordered_at < dateadd('day', 30, t.visited_at)
),

buyers as (
    select  c.person,
            c.utm_medium,
            count(*) as orders,
            sum(c.total) as revenue
      from  credits c
     where  c.place = 1
  group by  c.person, c.utm_medium
)

    select  s.utm_medium,
            count(*) as store_visits,
            count(v.person) as product_views,
            cast(sum(coalesce(b.orders, 0)) as bigint) as orders_completed,
            cast(sum(coalesce(b.revenue, 0)) as decimal(12, 2)) as total_revenue
      from  visits s
 left join  viewers v
        on  v.person = s.person
       and  v.utm_medium = s.utm_medium
 left join  buyers b
        on  b.person = s.person
       and  b.utm_medium = s.utm_medium
  group by  s.utm_medium
  order by  s.utm_medium desc
