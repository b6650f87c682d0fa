{{ config(unique_key=['currency', 'rate_hour']) }}

with arrived as (

    select * from {{ ref('stg_exchange_rates') }}
    where {{ arrived_since_last_build() }}

),

parsed as (

    select
        upper({{ text_or_null('currency_text') }}) as currency,
        {{ timestamp_from_text('rate_time_text') }} as rate_time,
        {{ rate_from_text('rate_to_eur_text') }} as rate_to_eur,
        load_timestamp
    from arrived

),

-- What is not understood cannot be merged: a key with a null never matches.
-- assert_every_exchange_rate_is_understood counts it.
understood as (

    select
        currency,
        rate_time,
        {{ dbt.date_trunc('hour', 'rate_time') }} as rate_hour,
        rate_to_eur,
        load_timestamp
    from parsed
    where
        currency is not null
        and rate_time is not null
        and rate_to_eur > 0

),

numbered as (

    select
        *,
        row_number() over (
            partition by currency, rate_hour
            order by rate_time desc, load_timestamp desc
        ) as recency
    from understood

),

hourly as (

    select
        {{ surrogate_key(['currency', 'rate_hour']) }} as exchange_rate_key,
        currency,
        rate_hour,
        rate_to_eur,
        load_timestamp
    from numbered
    where recency = 1

)

select * from hourly
