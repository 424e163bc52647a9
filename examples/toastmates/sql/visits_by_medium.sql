-- Cross-channel tracking: store visits per day and medium, for a stacked chart.
--
-- Answers: how many tagged visits to the store each utm_medium brought on each day (UTC), with or
-- without a campaign name. A visit is a page view whose link carried the tag.
--
-- Corrected, against the guide: the guide draws this chart and gives no query. "timestamp" (when
-- it happened), not received_at (when it was imported).
    select  cast(p."timestamp" as date) as visit_day,
            p.context_campaign_medium as utm_medium,
            count(*) as store_visits
      from  toastmates.pages p
     where  p.context_campaign_medium is not null
       and  p.url ilike '%toastmates.com/store%'
  group by  1, 2
  order by  visit_day, utm_medium
