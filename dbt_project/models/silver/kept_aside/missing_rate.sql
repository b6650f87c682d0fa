with classified as (

    select * from {{ ref('int_transactions__classified') }}

),

kept_aside as (

    select
        transaction_id,
        customer_id,
        product_id,
        quantity_text,
        unit_price_text,
        unit_tax_text,
        currency,
        transaction_time_text,
        transaction_time,
        updated_at,
        loaded_at
    from classified
    where outcome = 'missing_rate'

)

select * from kept_aside
