-- The incremental merge gives what a full build gives: the rate of an hour is
-- the last one in bronze that is understood, and null where there is none.
with bronze as (

    select
        upper({{ text_or_null('currency_text') }}) as currency,
        {{ timestamp_from_text('rate_time_text') }} as rate_time,
        {{ rate_from_text('rate_to_eur_text') }} as rate_to_eur
    from {{ ref('stg_exchange_rates') }}

),

hours as (

    select
        currency,
        {{ dbt.date_trunc('hour', 'rate_time') }} as rate_hour,
        max(case when rate_to_eur > 0 then rate_time end) as last_rate_time
    from bronze
    where currency is not null and rate_time is not null
    group by 1, 2

),

compared as (

    select
        hours.currency,
        hours.rate_hour,
        hours.last_rate_time,
        silver.currency as silver_currency,
        silver.rate_to_eur as silver_rate_to_eur,
        bronze.rate_to_eur as bronze_rate_to_eur
    from hours
    left join {{ ref('int_exchange_rates__hourly') }} as silver
        on
            hours.currency = silver.currency
            and hours.rate_hour = silver.rate_hour
    left join bronze
        on
            hours.currency = bronze.currency
            and hours.last_rate_time = bronze.rate_time
            and silver.rate_to_eur = bronze.rate_to_eur

)

select * from compared
where
    silver_currency is null
    or (last_rate_time is null and silver_rate_to_eur is not null)
    or (last_rate_time is not null and bronze_rate_to_eur is null)
