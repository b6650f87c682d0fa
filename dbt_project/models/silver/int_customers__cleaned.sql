{{ config(unique_key='customer_id') }}

with arrived as (

    select * from {{ ref('stg_customers') }}
    where {{ arrived_since_last_build() }}

),

cleaned as (

    select
        {{ surrogate_key(['customer_id']) }} as customer_key,
        customer_id,
        {{ text_or_null('customer_name_text') }} as customer_name,
        lower({{ text_or_null('email_text') }}) as email,
        upper({{ text_or_null('country_text') }}) as country,
        {{
            dbt.cast(
                timestamp_from_text(
                    dbt.concat(['trim(signup_date_text)', "' 00:00:00'"])
                ),
                'date'
            )
        }} as signup_date,
        lower({{ text_or_null('segment_text') }}) as segment,
        load_timestamp
    from arrived

)

select * from cleaned
