-- Set up a dynamic coupon program: the funnel of the group that got the coupon e-mail.
--
-- Answers: of the loyal customers who got the e-mail, how many opened it, then came to the main
-- landing screen, then added a product, then ordered, within 30 days of the e-mail.
--
-- Corrected, against the guide:
--   * the e-mail is found by its campaign_id: the guide sends 'We Loaf You!' and asks for
--     'We Loaf You', which matches nobody
--   * each step must follow the step before it
--   * event names are those of the e-commerce specification (Product Added, Order Completed)
--   * "timestamp" (when it happened), not received_at (when it was imported)
--
-- People who ordered without opening the e-mail are not in this funnel; to judge the coupon,
-- compare everyone assigned (Experiment Viewed), whatever they did.
with

delivered as (
    select  e.user_id,
            min(e."timestamp") as delivered_at
      from  toastmates.email_delivered e
     where  e.campaign_id = 'coupon-loyalty'
  group by  e.user_id
),

opened as (
    select  d.user_id,
            d.delivered_at,
            min(e."timestamp") as opened_at
      from  delivered d
      join  toastmates.email_opened e
        on  e.user_id = d.user_id
       and  e.campaign_id = 'coupon-loyalty'
       and  e."timestamp" > d.delivered_at
       and  e."timestamp" < dateadd('day', 30, d.delivered_at)
  group by  d.user_id, d.delivered_at
),

landed as (
    select  o.user_id,
            o.delivered_at,
            min(s."timestamp") as landed_at
      from  opened o
      join  toastmates.screens s
        on  s.user_id = o.user_id
       and  s.name = 'Main Landing Screen'
       and  s."timestamp" > o.opened_at
       and  s."timestamp" < dateadd('day', 30, o.delivered_at)
  group by  o.user_id, o.delivered_at
),

added as (
    select  l.user_id,
            l.delivered_at,
            min(p."timestamp") as added_at
      from  landed l
      join  toastmates.product_added p
        on  p.user_id = l.user_id
       and  p."timestamp" > l.landed_at
       and  p."timestamp" < dateadd('day', 30, l.delivered_at)
  group by  l.user_id, l.delivered_at
),

ordered as (
    select  a.user_id,
            min(o."timestamp") as ordered_at
      from  added a
      join  toastmates.order_completed o
        on  o.user_id = a.user_id
       and  o."timestamp" > a.added_at
       and  o."timestamp" < dateadd('day', 30, a.delivered_at)
  group by  a.user_id
)

    select  1 as step, 'Email Delivered' as event, count(*) as users from delivered
     union all
    select  2, 'Email Opened', count(*) from opened
     union all
    select  3, 'Main Landing Screen', count(*) from landed
     union all
    select  4, 'Product Added', count(*) from added
     union all
    select  5, 'Order Completed', count(*) from ordered
  order by  step
