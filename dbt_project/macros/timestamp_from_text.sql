{#
    A moment written as 2026-10-31 14:05:09 or 31/10/2026 14:05:09; null when it is neither, or no day of the
    calendar (31 April, 29 February 2026). The pattern knows the calendar because a cast of a wrong day ends
    the whole query on PostgreSQL.
#}
{% macro timestamp_from_text(column) -%}
    {%- set text = 'trim(' ~ column ~ ')' -%}
    {%- set turned = dbt.concat([
        'substring(' ~ text ~ ', 7, 4)', "'-'", 'substring(' ~ text ~ ', 4, 2)', "'-'",
        'substring(' ~ text ~ ', 1, 2)', 'substring(' ~ text ~ ', 11)',
    ]) -%}
    {%- set iso -%}
        case when {{ matches(text, '^[0-9]{2}/[0-9]{2}/[0-9]{4} ') }} then {{ turned }} else {{ text }} end
    {%- endset -%}
    {%- set clock = ' ([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]$' -%}
    {%- set any_year = '^[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])' -%}
    {%- set any_year = any_year ~ '|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))' -%}
    {%- set leap_year = '^([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29' -%}
    case
        when {{ matches(iso, any_year ~ clock) }} or {{ matches(iso, leap_year ~ clock) }}
            then {{ dbt.cast(iso, dbt.type_timestamp()) }}
    end
{%- endmacro %}
