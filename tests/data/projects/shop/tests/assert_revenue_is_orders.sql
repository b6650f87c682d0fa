select 1 as fault
from (select sum(amount) as total from {{ ref('orders') }}) as o
cross join (select sum(revenue) as total from {{ ref('revenue', v=2) }}) as r
where o.total <> r.total
