with source as (

    select * from {{ source('data_lake', 'customers') }}

),

renamed as (

    select
        customer_id,
        name as customer_name_text,
        email as email_text,
        country as country_text,
        signup_date as signup_date_text,
        segment as segment_text,
        load_timestamp
    from source

)

select * from renamed
