{#
    The condition of an incremental model: rows loaded since the newest one it holds, less `lookback_hours`.
    An empty table takes everything.
#}
{% macro arrived_since_last_build() -%}
    {%- if is_incremental() -%}
        load_timestamp >= (
            select
                coalesce(
                    {{ dbt.dateadd('hour', -var('lookback_hours'), 'max(held.load_timestamp)') }},
                    {{ dbt.cast("'1900-01-01'", dbt.type_timestamp()) }}
                )
            from {{ this }} as held
        )
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}
