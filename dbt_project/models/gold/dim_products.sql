with products as (

    select * from {{ ref('int_products__cleaned') }}

),

selected as (

    select
        product_key,
        product_id,
        product_name,
        category,
        list_price,
        list_currency
    from products

)

select * from selected
