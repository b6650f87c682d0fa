with source as (

    select * from {{ source('data_lake', 'exchange_rates') }}

),

renamed as (

    select
        currency as currency_text,
        rate_time as rate_time_text,
        rate_to_eur as rate_to_eur_text,
        load_timestamp
    from source

)

select * from renamed
