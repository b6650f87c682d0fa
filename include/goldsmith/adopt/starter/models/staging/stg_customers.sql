select
    customer_id,
    name as customer_name,
    cast(signed_up as date) as signed_up_on
from {{ ref('raw_customers') }}
