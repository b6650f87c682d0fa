with kept_aside as (

    select {{ kept_aside_columns() }}
    from {{ ref('int_transactions__classified') }}
    where outcome = 'orphan_reference'

)

select * from kept_aside
