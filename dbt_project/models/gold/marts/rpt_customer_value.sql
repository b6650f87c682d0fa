with customers as (

    select * from {{ ref('dim_customers') }}

),

sales as (

    select
        customer_key,
        count(*) as sale_count,
        sum(net_amount_eur) as net_amount_eur,
        min(transaction_date) as first_sale_on,
        max(transaction_date) as last_sale_on
    from {{ ref('fct_transactions') }}
    group by 1

),

returns as (

    select
        customer_key,
        sum(net_amount_eur) as returned_amount_eur
    from {{ ref('fct_returns') }}
    group by 1

),

joined as (

    select
        customers.customer_key,
        customers.customer_id,
        customers.customer_name,
        customers.segment,
        customers.country_name,
        sales.first_sale_on,
        sales.last_sale_on,
        coalesce(sales.sale_count, 0) as sale_count,
        coalesce(sales.net_amount_eur, 0) as sold_amount_eur,
        coalesce(returns.returned_amount_eur, 0) as returned_amount_eur,
        coalesce(sales.net_amount_eur, 0)
        - coalesce(returns.returned_amount_eur, 0) as value_eur
    from customers
    left join sales
        on customers.customer_key = sales.customer_key
    left join returns
        on customers.customer_key = returns.customer_key

)

select * from joined
