{#
    How the package Elementary writes rows on PostgreSQL: many at once, as one JSON text that the server takes apart.
    The package's own way puts each value into SQL by a dozen macros, for which dbt needs longer than to build the node.
#}
{% macro postgres__insert_rows(
    table_relation, rows, should_commit=false, chunk_size=5000, on_query_exceed=none
) -%}
    {%- set names = [] -%}
    {%- if rows and table_relation -%}
        {%- set names = adapter.get_columns_in_relation(table_relation) | map(attribute='name') | list -%}
    {%- endif -%}
    {%- if not names -%}
        {#- It says what is missing. -#}
        {{- return(elementary.default__insert_rows(table_relation, rows)) -}}
    {%- endif -%}
    {%- for some in rows | batch(500) -%}
        {%- set plain = [] -%}
        {%- for row in some -%}
            {%- set values = {} -%}
            {%- for name, value in row.items() -%}
                {#- What is none of these becomes null. Jinja takes what is not defined for a sequence. -#}
                {%- if value is not defined or value is none -%}
                {%- elif value is string or value is integer or value is float
                    or value is mapping or value is sequence -%}
                    {%- do values.update({name | lower: value}) -%}
                {%- elif value is number -%}
                    {#- A decimal, which JSON does not have. -#}
                    {%- do values.update({name | lower: value | string}) -%}
                {%- endif -%}
            {%- endfor -%}
            {%- do plain.append(values) -%}
        {%- endfor -%}
        {%- set insert -%}
            insert into {{ table_relation }} ("{{ names | join('", "') }}")
            select
            {%- for name in names %}
                {{ elementary.edr_current_timestamp() if name == 'created_at' else 'found."' ~ name ~ '"' }}
                {{- ',' if not loop.last }}
            {%- endfor %}
            from json_populate_recordset(
                null::{{ table_relation }}, '{{ tojson(plain) | replace("'", "''") }}'
            ) as found
        {%- endset -%}
        {%- do elementary.run_query(insert) -%}
    {%- endfor -%}
    {%- if should_commit -%} {%- do adapter.commit() -%} {%- endif -%}
{%- endmacro %}
