-- Every transaction of bronze is in exactly one place: a fact, or one of the
-- models that keep rows aside.
with accounted as (

    select transaction_id from {{ ref('fct_transactions') }}
    union all
    select transaction_id from {{ ref('fct_returns') }}
    union all
    select transaction_id from {{ ref('missing_quantity') }}
    union all
    select transaction_id from {{ ref('unreadable_value') }}
    union all
    select transaction_id from {{ ref('future_date') }}
    union all
    select transaction_id from {{ ref('orphan_reference') }}
    union all
    select transaction_id from {{ ref('missing_rate') }}

),

places as (

    select
        transaction_id,
        count(*) as place_count
    from accounted
    group by 1

),

compared as (

    select
        bronze.transaction_id as bronze_transaction_id,
        places.transaction_id as accounted_transaction_id,
        coalesce(places.place_count, 0) as place_count
    from {{ ref('stg_transactions') }} as bronze
    full outer join places
        on bronze.transaction_id = places.transaction_id

)

select * from compared
where bronze_transaction_id is null or place_count != 1
