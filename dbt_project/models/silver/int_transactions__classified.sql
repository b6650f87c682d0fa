{{ config(materialized='table') }}

with transactions as (

    select * from {{ ref('int_transactions__cleaned') }}

),

customers as (

    select * from {{ ref('int_customers__cleaned') }}

),

products as (

    select * from {{ ref('int_products__cleaned') }}

),

exchange_rates as (

    select * from {{ ref('int_exchange_rates__hourly') }}

),

joined as (

    select
        transactions.transaction_key,
        transactions.transaction_id,
        transactions.customer_id,
        transactions.product_id,
        transactions.quantity_text,
        transactions.quantity,
        transactions.unit_price,
        transactions.unit_tax,
        transactions.currency,
        transactions.unit_price_text,
        transactions.unit_tax_text,
        transactions.transaction_time_text,
        transactions.transaction_time,
        transactions.updated_at,
        transactions.loaded_at,
        transactions.load_timestamp,
        customers.customer_key,
        products.product_key,
        exchange_rates.rate_to_eur
    from transactions
    left join customers
        on transactions.customer_id = customers.customer_id
    left join products
        on transactions.product_id = products.product_id
    left join exchange_rates
        on
            transactions.currency = exchange_rates.currency
            and {{ dbt.date_trunc('hour', 'transactions.transaction_time') }}
            = exchange_rates.rate_hour

),

-- The first reason that holds is the one a row is kept aside for.
classified as (

    select
        *,
        case
            when quantity_text is null or quantity = 0
                then 'missing_quantity'
            when
                quantity is null
                or unit_price is null
                or unit_tax is null
                or currency is null
                or transaction_time is null
                -- Beyond a thousand billion nobody meant it, and it would not
                -- fit into the facts' numeric(18, 2).
                or abs(quantity)
                * greatest(unit_price, unit_tax)
                * coalesce(rate_to_eur, 1) >= 1000000000000
                then 'unreadable_value'
            when
                transaction_time > {{
                    dbt.dateadd(
                        'hour', var('clock_tolerance_hours'), 'loaded_at'
                    )
                }}
                then 'future_date'
            when product_key is null or customer_key is null
                then 'orphan_reference'
            when rate_to_eur is null
                then 'missing_rate'
            else 'accepted'
        end as outcome
    from joined

)

select * from classified
