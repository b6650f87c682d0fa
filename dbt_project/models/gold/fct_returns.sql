with accepted as (

    select * from {{ ref('int_transactions__accepted') }}

),

returns as (

    select
        transaction_key as return_key,
        transaction_id,
        customer_key,
        product_key,
        currency,
        transaction_date,
        transaction_time,
        unit_price,
        unit_tax,
        rate_to_eur,
        updated_at,
        loaded_at,
        -quantity as quantity,
        -net_amount_eur as net_amount_eur,
        -tax_amount_eur as tax_amount_eur,
        {{ dbt.cast('-(net_amount_eur + tax_amount_eur)', 'numeric(18, 2)') }}
            as gross_amount_eur
    from accepted
    where quantity < 0

)

select * from returns
