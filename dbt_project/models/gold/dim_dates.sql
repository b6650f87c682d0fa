{%- set first_date = modules.datetime.date.fromisoformat(var('first_date')) -%}
{%- set last_date = modules.datetime.date.fromisoformat(var('last_date')) -%}

with numbers as (

    select series.generated_number
    from ({{ dbt.generate_series((last_date - first_date).days) }}) as series

),

days as (

    select
        {{
            dbt.cast(
                dbt.dateadd(
                    'day',
                    'generated_number - 1',
                    "cast('" ~ first_date ~ "' as date)"
                ),
                'date'
            )
        }} as date_day
    from numbers

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
