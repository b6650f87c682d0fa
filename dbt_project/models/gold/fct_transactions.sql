with accepted as (

    select * from {{ ref('int_transactions__accepted') }}

),

sales as (

    select
        transaction_key as sale_key,
        transaction_id,
        customer_key,
        product_key,
        currency,
        transaction_date,
        transaction_time,
        quantity,
        unit_price,
        unit_tax,
        rate_to_eur,
        net_amount_eur,
        tax_amount_eur,
        updated_at,
        loaded_at,
        {{ dbt.cast('net_amount_eur + tax_amount_eur', 'numeric(18, 2)') }}
            as gross_amount_eur
    from accepted
    where quantity > 0

)

select * from sales
