{{ config(severity='warn') }}

-- A currency has one rate for every hour from its first to its last.
with spans as (

    select
        currency,
        count(rate_to_eur) as hours_known,
        {{ dbt.datediff('min(rate_hour)', 'max(rate_hour)', 'hour') }} + 1
            as hours_spanned
    from {{ ref('int_exchange_rates__hourly') }}
    group by 1

)

select * from spans
where hours_known != hours_spanned
