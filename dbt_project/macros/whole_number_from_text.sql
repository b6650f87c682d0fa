{# A whole number in figures, with or without a minus sign; null when it is none. #}
{% macro whole_number_from_text(column) -%}
    case
        when {{ matches('trim(' ~ column ~ ')', '^-?[0-9]{1,9}$') }}
            then {{ dbt.cast('trim(' ~ column ~ ')', dbt.type_int()) }}
    end
{%- endmacro %}
