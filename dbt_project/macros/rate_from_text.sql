{# An exchange rate in figures; null when it is none. #}
{% macro rate_from_text(column) -%}
    case
        when {{ matches('trim(' ~ column ~ ')', '^[0-9]{1,9}([.][0-9]{1,12})?$') }}
            then {{ dbt.cast('trim(' ~ column ~ ')', 'numeric(18, 8)') }}
    end
{%- endmacro %}
