{# The model has no more than this share of the rows of another one. #}
{% test kept_aside_share(model, of, at_most) %}

    with here as (

        select count(*) as row_count
        from {{ model }}

    ),

    whole as (

        select count(*) as row_count
        from {{ of }}

    )

    select
        here.row_count as kept_aside,
        whole.row_count as transactions
    from here
    cross join whole
    where here.row_count > {{ at_most }} * whole.row_count

{% endtest %}
