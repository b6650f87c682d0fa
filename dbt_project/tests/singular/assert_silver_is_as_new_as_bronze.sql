-- The incremental merge has missed nothing: silver holds the newest state of
-- every raw transaction.
with bronze as (

    select
        transaction_id,
        max(load_timestamp) as load_timestamp
    from {{ ref('stg_transactions') }}
    group by 1

)

select
    bronze.transaction_id,
    bronze.load_timestamp as bronze_load_timestamp,
    silver.load_timestamp as silver_load_timestamp
from bronze
left join {{ ref('int_transactions__cleaned') }} as silver
    on bronze.transaction_id = silver.transaction_id
where
    silver.transaction_id is null
    or silver.load_timestamp < bronze.load_timestamp
