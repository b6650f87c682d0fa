with currencies as (

    select * from {{ ref('currencies') }}

),

exchange_rates as (

    select * from {{ ref('int_exchange_rates__hourly') }}

),

numbered as (

    select
        currency,
        rate_to_eur,
        rate_hour,
        row_number() over (
            partition by currency
            order by rate_hour desc
        ) as recency
    from exchange_rates
    where rate_to_eur is not null

),

joined as (

    select
        currencies.currency,
        currencies.currency_name,
        currencies.minor_units,
        numbered.rate_to_eur as latest_rate_to_eur,
        numbered.rate_hour as latest_rate_hour
    from currencies
    left join numbered
        on currencies.currency = numbered.currency and numbered.recency = 1

)

select * from joined
