{{ config(severity='warn') }}

-- Rates that silver could not read, or read as no price at all.
with read as (

    select
        currency_text,
        rate_time_text,
        rate_to_eur_text,
        {{ text_or_null('currency_text') }} as currency,
        {{ timestamp_from_text('rate_time_text') }} as rate_time,
        {{ rate_from_text('rate_to_eur_text') }} as rate_to_eur
    from {{ ref('stg_exchange_rates') }}

)

select
    currency_text,
    rate_time_text,
    rate_to_eur_text
from read
where
    currency is null
    or rate_time is null
    or coalesce(rate_to_eur, 0) = 0
