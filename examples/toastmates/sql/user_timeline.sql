-- Forecasting LTV with SQL and Excel: everything one user did, newest first.
--
-- Answers: pages viewed and events of user 46X8VF96G6, also before signing in. To see another
-- user, replace the id in the first table.
--
-- Corrected, against the guide:
--   * union all: union removed rows that happen to be equal
--   * anonymous ids are taken from pages and identifies too, not from tracks alone
--   * the first column is named in both halves; rows of the same instant have a fixed order
--     (the event after the page it happened on)
--   * "timestamp" (when it happened), not received_at (when it was imported)
with

subject as (
    select  '46X8VF96G6' as user_id
),

anonymous_ids as (
    select  c.anonymous_id
      from  (
                select  user_id, anonymous_id from toastmates.tracks
                 union
                select  user_id, anonymous_id from toastmates.pages
                 union
                select  user_id, anonymous_id from toastmates.identifies
            ) c
      join  subject s
        on  s.user_id = c.user_id
     where  c.anonymous_id is not null
  group by  c.anonymous_id
),

timeline as (
    select  p.path || coalesce(p.search, '') as event_or_page_viewed,
            p."timestamp" as happened_at,
            0 as place
      from  toastmates.pages p
     where  p.user_id = (select user_id from subject)
        or  (p.user_id is null and p.anonymous_id in (select anonymous_id from anonymous_ids))
     union all
    select  t.event_text,
            t."timestamp",
            1
      from  toastmates.tracks t
     where  t.user_id = (select user_id from subject)
        or  (t.user_id is null and t.anonymous_id in (select anonymous_id from anonymous_ids))
)

    select  event_or_page_viewed,
            happened_at
      from  timeline
  order by  happened_at desc, place desc, event_or_page_viewed
