-- Each mart tells the same total of sales as the fact table.
with facts as (

    select coalesce(sum(net_amount_eur), 0) as net_amount_eur
    from {{ ref('fct_transactions') }}

),

marts as (

    select
        'rpt_daily_sales' as mart,
        sum(net_amount_eur) as net_amount_eur
    from {{ ref('rpt_daily_sales') }}
    union all
    select
        'rpt_sales_by_country' as mart,
        sum(net_amount_eur) as net_amount_eur
    from {{ ref('rpt_sales_by_country') }}
    union all
    select
        'rpt_customer_value' as mart,
        sum(sold_amount_eur) as net_amount_eur
    from {{ ref('rpt_customer_value') }}
    union all
    select
        'rpt_product_performance' as mart,
        sum(net_amount_eur) as net_amount_eur
    from {{ ref('rpt_product_performance') }}
    union all
    select
        'rpt_currency_exposure' as mart,
        sum(net_amount_eur) as net_amount_eur
    from {{ ref('rpt_currency_exposure') }}

)

select
    marts.mart,
    marts.net_amount_eur,
    facts.net_amount_eur as fact_amount_eur
from marts
cross join facts
where coalesce(marts.net_amount_eur, 0) != facts.net_amount_eur
