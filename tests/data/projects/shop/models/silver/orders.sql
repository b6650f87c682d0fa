select id, customer, amount, 1 / {{ var('divisor', 1) }} as factor from {{ ref('positive_orders') }}
