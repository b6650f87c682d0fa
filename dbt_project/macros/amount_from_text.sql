{# An amount of money written in figures or in words; null when it is neither. Never negative. #}
{% macro amount_from_text(column) -%}
    case
        when {{ matches('trim(' ~ column ~ ')', '^[0-9]{1,12}([.][0-9]{1,6})?$') }}
            then {{ dbt.cast('trim(' ~ column ~ ')', 'numeric(18, 4)') }}
        else {{ dbt.cast(number_from_words(column), 'numeric(18, 4)') }}
    end
{%- endmacro %}
