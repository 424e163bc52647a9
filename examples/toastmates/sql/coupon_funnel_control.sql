-- Set up a dynamic coupon program: the funnel of the control group.
--
-- Answers: of the loyal customers who were assigned to get no e-mail, how many came to the main
-- landing screen, then added a product, then ordered, within 30 days.
--
-- Corrected, against the guide:
--   * the control group is what the experiment assigned, stored as Experiment Viewed; the guide
--     takes everyone without an e-mail of a certain subject, and misspells the subject
--   * each step must follow the step before it, and the assignment
--   * event names are those of the e-commerce specification (Product Added, Order Completed)
--   * "timestamp" (when it happened), not received_at (when it was imported)
--
-- The 30 days begin with the first landing screen after the assignment.
with

assigned as (
    select  e.user_id,
            min(e."timestamp") as assigned_at
      from  toastmates.experiment_viewed e
     where  e.experiment_id = 'coupon-loyalty'
       and  e.variation_id = 'control'
  group by  e.user_id
),

landed as (
    select  a.user_id,
            min(s."timestamp") as landed_at
      from  assigned a
      join  toastmates.screens s
        on  s.user_id = a.user_id
       and  s.name = 'Main Landing Screen'
       and  s."timestamp" >= a.assigned_at
  group by  a.user_id
),

added as (
    select  l.user_id,
            l.landed_at,
            min(p."timestamp") as added_at
      from  landed l
      join  toastmates.product_added p
        on  p.user_id = l.user_id
       and  p."timestamp" > l.landed_at
       and  p."timestamp" < dateadd('day', 30, l.landed_at)
  group by  l.user_id, l.landed_at
),

ordered as (
    select  a.user_id,
            min(o."timestamp") as ordered_at
      from  added a
      join  toastmates.order_completed o
        on  o.user_id = a.user_id
       and  o."timestamp" > a.added_at
       and  o."timestamp" < dateadd('day', 30, a.landed_at)
  group by  a.user_id
)

    select  1 as step, 'Main Landing Screen' as event, count(*) as users from landed
     union all
    select  2, 'Product Added', count(*) from added
     union all
    select  3, 'Order Completed', count(*) from ordered
  order by  step
