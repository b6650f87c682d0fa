-- Sales less returns in gold equal the accepted transactions of silver, but for
-- the rounding of each row.
with silver as (

    select
        count(*) as row_count,
        coalesce(sum(quantity * unit_price * rate_to_eur), 0) as net_amount_eur
    from {{ ref('int_transactions__classified') }}
    where outcome = 'accepted'

),

sales as (

    select
        count(*) as row_count,
        coalesce(sum(net_amount_eur), 0) as net_amount_eur
    from {{ ref('fct_transactions') }}

),

returns as (

    select
        count(*) as row_count,
        coalesce(sum(net_amount_eur), 0) as net_amount_eur
    from {{ ref('fct_returns') }}

),

compared as (

    select
        silver.row_count as silver_rows,
        silver.net_amount_eur as silver_amount,
        sales.row_count + returns.row_count as gold_rows,
        sales.net_amount_eur - returns.net_amount_eur as gold_amount
    from silver
    cross join sales
    cross join returns

)

select * from compared
where
    silver_rows != gold_rows
    or abs(silver_amount - gold_amount) > 0.005 * silver_rows
