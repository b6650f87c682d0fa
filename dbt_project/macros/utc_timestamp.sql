{# The moment a row was loaded as a plain timestamp in UTC, to compare with the times in the data. #}
{% macro utc_timestamp(column) -%}
    {{ adapter.dispatch('utc_timestamp', 'goldsmith_sample')(column) }}
{%- endmacro %}

{# Databricks has one timestamp type, and its sessions are in UTC unless told otherwise. #}
{% macro default__utc_timestamp(column) -%}
    {{ dbt.cast(column, dbt.type_timestamp()) }}
{%- endmacro %}

{% macro postgres__utc_timestamp(column) -%}
    ({{ column }} at time zone 'UTC')
{%- endmacro %}
