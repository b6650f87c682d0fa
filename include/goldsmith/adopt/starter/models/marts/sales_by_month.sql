select
    cast(date_trunc('month', ordered_on) as date) as sales_month,
    count(*) as orders,
    sum(amount) as amount
from {{ ref('fct_orders') }}
group by 1
