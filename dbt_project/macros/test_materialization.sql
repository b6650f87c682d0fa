{#
    Tests run as Elementary wants it, so that it has the rows that failed; without the package as dbt has it.
    A package may replace this part of dbt only where the project itself says so.
#}
{% materialization test, default -%}
    {%- set as_dbt_has_it = dbt.materialization_test_default -%}
    {{ return(elementary.materialize_test(as_dbt_has_it) if elementary is defined else as_dbt_has_it()) }}
{%- endmaterialization %}
