{# Replace every match of a regular expression. #}
{% macro replace_pattern(text, pattern, replacement) -%}
    {{ adapter.dispatch('replace_pattern', 'goldsmith_sample')(text, pattern, replacement) }}
{%- endmacro %}

{# https://docs.databricks.com/en/sql/language-manual/functions/regexp_replace.html #}
{% macro default__replace_pattern(text, pattern, replacement) -%}
    regexp_replace({{ text }}, '{{ pattern }}', '{{ replacement }}')
{%- endmacro %}

{# PostgreSQL replaces the first match only, unless told otherwise. #}
{% macro postgres__replace_pattern(text, pattern, replacement) -%}
    regexp_replace({{ text }}, '{{ pattern }}', '{{ replacement }}', 'g')
{%- endmacro %}
