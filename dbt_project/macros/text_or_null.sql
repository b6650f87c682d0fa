{# Blank text is no text. #}
{% macro text_or_null(column) -%}
    nullif(trim({{ column }}), '')
{%- endmacro %}
