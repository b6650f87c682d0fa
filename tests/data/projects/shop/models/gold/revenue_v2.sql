select o.customer, sum(o.amount) as revenue, max(c.orders) as orders
from {{ ref('orders') }} as o
inner join {{ ref('customers') }} as c on o.customer = c.customer
group by 1
