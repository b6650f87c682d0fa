with classified as (

    select * from {{ ref('int_transactions__classified') }}

),

rejected as (

    select * from {{ ref('stg_rejected_rows') }}

),

counted as (

    select
        outcome,
        count(*) as row_count,
        max(loaded_at) as last_loaded_at
    from classified
    group by 1

    union all

    select
        'rejected_line' as outcome,
        count(*) as row_count,
        max({{ utc_timestamp('load_timestamp') }}) as last_loaded_at
    from rejected

),

shared as (

    select
        outcome,
        row_count,
        last_loaded_at,
        1.0 * row_count / sum(row_count) over () as share_of_rows
    from counted

)

select * from shared
