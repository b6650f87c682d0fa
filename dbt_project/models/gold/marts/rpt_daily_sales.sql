with sales as (

    select * from {{ ref('fct_transactions') }}

),

returns as (

    select * from {{ ref('fct_returns') }}

),

daily_sales as (

    select
        transaction_date,
        count(*) as sale_count,
        sum(quantity) as pieces,
        sum(net_amount_eur) as net_amount_eur,
        sum(gross_amount_eur) as gross_amount_eur
    from sales
    group by 1

),

daily_returns as (

    select
        transaction_date,
        count(*) as return_count,
        sum(gross_amount_eur) as returned_amount_eur
    from returns
    group by 1

),

joined as (

    select
        coalesce(daily_sales.transaction_date, daily_returns.transaction_date)
            as transaction_date,
        coalesce(daily_sales.sale_count, 0) as sale_count,
        coalesce(daily_sales.pieces, 0) as pieces,
        coalesce(daily_sales.net_amount_eur, 0) as net_amount_eur,
        coalesce(daily_sales.gross_amount_eur, 0) as gross_amount_eur,
        coalesce(daily_returns.return_count, 0) as return_count,
        coalesce(daily_returns.returned_amount_eur, 0) as returned_amount_eur
    from daily_sales
    full outer join daily_returns
        on daily_sales.transaction_date = daily_returns.transaction_date

)

select * from joined
