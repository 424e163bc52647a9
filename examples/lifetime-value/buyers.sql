-- What the lifetime-value models want of each buyer; days. On imported history, put its last day
-- in place of current_date.
select user_id,
       count(distinct order_id) as orders,
       date_diff('day', min(cast("timestamp" as date)), max(cast("timestamp" as date))) as recency,
       date_diff('day', min(cast("timestamp" as date)), current_date) as age,
       avg(total) as average
from   toastmates.order_completed
where  user_id is not null
group  by user_id
