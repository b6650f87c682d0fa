with source as (

    select * from {{ source('data_lake', 'products') }}

),

renamed as (

    select
        product_id,
        name as product_name_text,
        category as category_text,
        list_price as list_price_text,
        list_currency as list_currency_text,
        load_timestamp
    from source

)

select * from renamed
