with source as (

    select * from {{ source('data_lake', 'transactions') }}

),

renamed as (

    select
        transaction_id,
        customer_id,
        product_id,
        quantity as quantity_text,
        unit_price as unit_price_text,
        tax as unit_tax_text,
        currency as currency_text,
        transaction_time as transaction_time_text,
        updated_at as updated_at_text,
        load_timestamp
    from source

)

select * from renamed
