{{ config(unique_key='product_id') }}

with arrived as (

    select * from {{ ref('stg_products') }}
    where {{ arrived_since_last_build() }}

),

cleaned as (

    select
        {{ surrogate_key(['product_id']) }} as product_key,
        product_id,
        {{ text_or_null('product_name_text') }} as product_name,
        lower({{ text_or_null('category_text') }}) as category,
        {{ amount_from_text('list_price_text') }} as list_price,
        upper({{ text_or_null('list_currency_text') }}) as list_currency,
        load_timestamp
    from arrived

)

select * from cleaned
