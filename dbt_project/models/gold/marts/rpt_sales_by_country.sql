with sales as (

    select * from {{ ref('fct_transactions') }}

),

customers as (

    select * from {{ ref('dim_customers') }}

),

dates as (

    select * from {{ ref('dim_dates') }}

),

monthly as (

    select
        dates.first_day_of_month,
        customers.country_name,
        customers.region,
        count(*) as sale_count,
        count(distinct sales.customer_key) as customer_count,
        sum(sales.net_amount_eur) as net_amount_eur
    from sales
    inner join customers
        on sales.customer_key = customers.customer_key
    inner join dates
        on sales.transaction_date = dates.date_day
    group by 1, 2, 3

)

select * from monthly
