{#
    The column holds exactly the distinct values of another model's column:
    nothing lost, nothing added.
#}
{% test same_keys_as(model, column_name, to, field) %}

    with here as (

        select distinct {{ column_name }} as key_value
        from {{ model }}

    ),

    there as (

        select distinct {{ field }} as key_value
        from {{ to }}

    )

    select
        here.key_value as only_here,
        there.key_value as only_there
    from here
    full outer join there on here.key_value = there.key_value
    where here.key_value is null or there.key_value is null

{% endtest %}
