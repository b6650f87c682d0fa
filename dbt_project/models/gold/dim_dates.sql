with spine as (

    {{
        dbt.date_spine(
            'day',
            "cast('" ~ var('first_date') ~ "' as date)",
            "cast('" ~ var('last_date') ~ "' as date)"
        )
    }}

),

days as (

    select {{ dbt.cast('date_day', 'date') }} as date_day
    from spine

),

-- 1 January 1900 was a Monday.
numbered as (

    select
        date_day,
        mod(
            {{ dbt.datediff("cast('1900-01-01' as date)", 'date_day', 'day') }},
            7
        )
        + 1 as day_of_week
    from days

),

described as (

    select
        date_day,
        {{ dbt.cast('extract(year from date_day)', dbt.type_int()) }}
            as calendar_year,
        {{ dbt.cast('extract(quarter from date_day)', dbt.type_int()) }}
            as calendar_quarter,
        {{ dbt.cast('extract(month from date_day)', dbt.type_int()) }}
            as calendar_month,
        {{ dbt.cast(dbt.date_trunc('month', 'date_day'), 'date') }}
            as first_day_of_month,
        {{ dbt.cast('day_of_week', dbt.type_int()) }} as day_of_week,
        day_of_week >= 6 as is_weekend
    from numbered

)

select * from described
