with kept_aside as (

    select {{ kept_aside_columns() }}
    from {{ ref('int_transactions__classified') }}
    where outcome = 'missing_rate'

)

select * from kept_aside
