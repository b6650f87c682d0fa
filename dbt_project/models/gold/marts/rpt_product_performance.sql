with products as (

    select * from {{ ref('dim_products') }}

),

sales as (

    select
        product_key,
        sum(quantity) as pieces_sold,
        sum(net_amount_eur) as net_amount_eur
    from {{ ref('fct_transactions') }}
    group by 1

),

returns as (

    select
        product_key,
        sum(quantity) as pieces_returned
    from {{ ref('fct_returns') }}
    group by 1

),

joined as (

    select
        products.product_key,
        products.product_id,
        products.product_name,
        products.category,
        coalesce(sales.pieces_sold, 0) as pieces_sold,
        coalesce(returns.pieces_returned, 0) as pieces_returned,
        coalesce(sales.net_amount_eur, 0) as net_amount_eur,
        -- Null for a product that was never sold.
        1.0 * coalesce(returns.pieces_returned, 0) / sales.pieces_sold
            as return_rate
    from products
    left join sales
        on products.product_key = sales.product_key
    left join returns
        on products.product_key = returns.product_key

)

select * from joined
