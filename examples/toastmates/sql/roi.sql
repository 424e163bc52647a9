-- Measure the ROI of your marketing campaigns: the cost sheet.
--
-- Answers: what each campaign cost (person hours and media), what it brought, and
-- ROI = (revenue - cost) / cost, in percent.
--
-- Corrected, against the guide:
--   * the guide types revenue into a spreadsheet; here it is counted as in campaigns.sql
--   * the guide's formula says profit, its sheet uses revenue: so does this query
--   * "timestamp" (when it happened), not received_at (when it was imported)
--
-- Put your own costs into the first table.
with

costs as (
    select  'national-toast-day' as campaign,
            cast(1500 as decimal(12, 2)) as person_cost,
            cast(1000 as decimal(12, 2)) as media_cost
     union all
    select  'toast-your-friend',
            cast(1000 as decimal(12, 2)),
            cast(2000 as decimal(12, 2))
),

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

revenues as (
    select  s.campaign,
            sum(o.total) as revenue
      from  visits s
      join  orders o
        on  o.person = s.person
       and  o.ordered_at >= s.visited_at
       and  o.ordered_at < dateadd('day', 30, s.visited_at)
  group by  s.campaign
)

    select  c.campaign,
            c.person_cost,
            c.media_cost,
            c.person_cost + c.media_cost as total_cost,
            cast(coalesce(r.revenue, 0) as decimal(12, 2)) as revenue,
            cast(
                100.0 * (coalesce(r.revenue, 0) - c.person_cost - c.media_cost)
                / (c.person_cost + c.media_cost)
            as decimal(12, 2)) as roi_percent
      from  costs c
 left join  revenues r
        on  r.campaign = c.campaign
  order by  c.campaign
