{{ config(severity='warn') }}

-- Rates that silver could not read. Rows of one hour collapse to the last one,
-- so hours are compared.
with bronze as (

    select
        currency_text,
        rate_time_text,
        upper({{ text_or_null('currency_text') }}) as currency,
        {{ timestamp_from_text('rate_time_text') }} as rate_time
    from {{ ref('stg_exchange_rates') }}

)

select
    bronze.currency_text,
    bronze.rate_time_text
from bronze
left join {{ ref('int_exchange_rates__hourly') }} as silver
    on
        bronze.currency = silver.currency
        and {{ dbt.date_trunc('hour', 'bronze.rate_time') }} = silver.rate_hour
where silver.currency is null
