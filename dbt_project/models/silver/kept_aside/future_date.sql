with kept_aside as (

    select {{ kept_aside_columns() }}
    from {{ ref('int_transactions__classified') }}
    where outcome = 'future_date'

)

select * from kept_aside
