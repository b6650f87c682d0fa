select
    order_id,
    customer_id,
    ordered_on,
    amount
from {{ ref('stg_orders') }}
where status <> 'returned'
