-- Bronze renames and drops nothing: as many rows as the raw tables have.
with counted as (

    select
        'transactions' as table_name,
        (select count(*) from {{ source('data_lake', 'transactions') }})
            as raw_rows,
        (select count(*) from {{ ref('stg_transactions') }}) as bronze_rows
    union all
    select
        'customers' as table_name,
        (select count(*) from {{ source('data_lake', 'customers') }})
            as raw_rows,
        (select count(*) from {{ ref('stg_customers') }}) as bronze_rows
    union all
    select
        'products' as table_name,
        (select count(*) from {{ source('data_lake', 'products') }})
            as raw_rows,
        (select count(*) from {{ ref('stg_products') }}) as bronze_rows
    union all
    select
        'exchange_rates' as table_name,
        (select count(*) from {{ source('data_lake', 'exchange_rates') }})
            as raw_rows,
        (select count(*) from {{ ref('stg_exchange_rates') }}) as bronze_rows

)

select * from counted
where raw_rows != bronze_rows
