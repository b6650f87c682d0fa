{# Whether a text matches a regular expression. Write character classes as [0-9]: backslashes differ. #}
{% macro matches(text, pattern) -%}
    {{ adapter.dispatch('matches', 'goldsmith_sample')(text, pattern) }}
{%- endmacro %}

{# https://docs.databricks.com/en/sql/language-manual/functions/rlike.html #}
{% macro default__matches(text, pattern) -%}
    ({{ text }} rlike '{{ pattern }}')
{%- endmacro %}

{# https://www.postgresql.org/docs/current/functions-matching.html #}
{% macro postgres__matches(text, pattern) -%}
    ({{ text }} ~ '{{ pattern }}')
{%- endmacro %}
