{#
    The moment lies no more than `tolerance_hours` after another column's: nothing happens after it was
    loaded. Compares two columns, never the clock, so that it says the same tomorrow.
#}
{% test not_later_than(model, column_name, other, tolerance_hours=0) %}

    select
        {{ column_name }},
        {{ other }}
    from {{ model }}
    where {{ column_name }} > {{ dbt.dateadd('hour', tolerance_hours, other) }}

{% endtest %}
