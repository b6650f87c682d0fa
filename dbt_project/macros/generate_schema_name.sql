{#
    The one place that decides in which schema a node is built.

        target prod    <layer>                      bronze, silver, gold, marts
        other targets  <target.schema>_<layer>      anna_bronze, ...
        Elementary     elementary, ...              what the package keeps of each run
        no layer       <target.schema>

    Write-audit-publish will hook in here: a build that is to be audited before anyone sees it gets its own
    schema (the name below, with a suffix that the build passes in), and publishing swaps that schema with the
    one this macro names today. Nothing else in the project may spell out a schema, so that the swap stays whole.
    Raw data lies in `data_lake` for every target; see models/bronze/_sources.yml.
#}
{% macro generate_schema_name(custom_schema_name=none, node=none) -%}
    {%- set layer = custom_schema_name | trim if custom_schema_name else none -%}
    {%- if layer is none and node is not none and node.package_name == 'elementary' -%}
        {%- set layer = 'elementary' -%}
    {%- endif -%}
    {%- if layer is none -%} {{ target.schema }}
    {%- elif target.name == 'prod' -%} {{ layer }}
    {%- else -%} {{ target.schema }}_{{ layer }}
    {%- endif -%}
{%- endmacro %}
