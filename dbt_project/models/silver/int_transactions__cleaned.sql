{{ config(unique_key='transaction_id') }}

with arrived as (

    select * from {{ ref('stg_transactions') }}
    where {{ arrived_since_last_build() }}

),

parsed as (

    select
        {{ surrogate_key(['transaction_id']) }} as transaction_key,

        ---------- ids
        transaction_id,
        customer_id,
        product_id,

        ---------- numbers
        {{ text_or_null('quantity_text') }} as quantity_text,
        {{ whole_number_from_text('quantity_text') }} as quantity,
        {{ amount_from_text('unit_price_text') }} as unit_price,
        {{ amount_from_text('unit_tax_text') }} as unit_tax,
        upper({{ text_or_null('currency_text') }}) as currency,

        ---------- what the shop wrote, for those who read kept-aside rows
        unit_price_text,
        unit_tax_text,
        transaction_time_text,

        ---------- moments
        {{ timestamp_from_text('transaction_time_text') }}
            as transaction_time,
        {{ timestamp_from_text('updated_at_text') }} as updated_at,
        {{ utc_timestamp('load_timestamp') }} as loaded_at,
        load_timestamp
    from arrived

),

numbered as (

    select
        *,
        row_number() over (
            partition by transaction_id
            order by updated_at desc nulls last, load_timestamp desc
        ) as recency
    from parsed

),

latest as (

    select
        transaction_key,
        transaction_id,
        customer_id,
        product_id,
        quantity_text,
        quantity,
        unit_price,
        unit_tax,
        currency,
        unit_price_text,
        unit_tax_text,
        transaction_time_text,
        transaction_time,
        updated_at,
        loaded_at,
        load_timestamp
    from numbered
    where recency = 1

)

select * from latest
