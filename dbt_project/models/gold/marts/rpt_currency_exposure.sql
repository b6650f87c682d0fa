with sales as (

    select
        currency,
        count(*) as sale_count,
        sum(quantity * unit_price) as net_amount,
        sum(net_amount_eur) as net_amount_eur
    from {{ ref('fct_transactions') }}
    group by 1

),

currencies as (

    select * from {{ ref('dim_currencies') }}

),

joined as (

    select
        currencies.currency,
        currencies.currency_name,
        currencies.latest_rate_to_eur,
        coalesce(sales.sale_count, 0) as sale_count,
        coalesce(sales.net_amount, 0) as net_amount,
        coalesce(sales.net_amount_eur, 0) as net_amount_eur,
        coalesce(sales.net_amount, 0)
        * currencies.latest_rate_to_eur as net_amount_at_latest_rate_eur
    from currencies
    left join sales
        on currencies.currency = sales.currency

)

select * from joined
