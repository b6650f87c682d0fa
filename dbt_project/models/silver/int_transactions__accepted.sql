{{ config(materialized='ephemeral') }}

with classified as (

    select * from {{ ref('int_transactions__classified') }}

),

accepted as (

    select
        transaction_key,
        transaction_id,
        customer_key,
        product_key,
        currency,
        quantity,
        unit_price,
        unit_tax,
        rate_to_eur,
        {{ dbt.cast('quantity * unit_price * rate_to_eur', 'numeric(18, 2)') }}
            as net_amount_eur,
        {{ dbt.cast('quantity * unit_tax * rate_to_eur', 'numeric(18, 2)') }}
            as tax_amount_eur,
        {{ dbt.cast('transaction_time', 'date') }} as transaction_date,
        transaction_time,
        updated_at,
        loaded_at
    from classified
    where outcome = 'accepted'

)

select * from accepted
