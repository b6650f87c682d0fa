{{ config(unique_key=['currency', 'rate_hour']) }}

-- Every rate and not only the new ones: which one is the last of its hour, only
-- the whole hour can tell.
with parsed as (

    select
        upper({{ text_or_null('currency_text') }}) as currency,
        {{ timestamp_from_text('rate_time_text') }} as rate_time,
        {{ rate_from_text('rate_to_eur_text') }} as rate_to_eur,
        load_timestamp,
        {{ arrived_since_last_build() }} as has_arrived
    from {{ ref('stg_exchange_rates') }}

),

-- A key with a null never matches in a merge. What is not understood is counted
-- by assert_every_exchange_rate_is_understood.
placed as (

    select
        currency,
        rate_time,
        {{ dbt.date_trunc('hour', 'rate_time') }} as rate_hour,
        case when rate_to_eur > 0 then rate_to_eur end as rate_to_eur,
        load_timestamp,
        has_arrived
    from parsed
    where currency is not null and rate_time is not null

),

touched as (

    select distinct
        currency,
        rate_hour
    from placed
    where has_arrived

),

numbered as (

    select
        placed.currency,
        placed.rate_hour,
        placed.rate_to_eur,
        max(placed.load_timestamp) over (
            partition by placed.currency, placed.rate_hour
        ) as load_timestamp,
        row_number() over (
            partition by placed.currency, placed.rate_hour
            order by
                case when placed.rate_to_eur is null then 1 else 0 end,
                placed.rate_time desc,
                placed.load_timestamp desc,
                placed.rate_to_eur desc
        ) as recency
    from placed
    inner join touched
        on
            placed.currency = touched.currency
            and placed.rate_hour = touched.rate_hour

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
