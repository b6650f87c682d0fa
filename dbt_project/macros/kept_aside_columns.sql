{# What is shown of a transaction that is kept aside: what the shop sent, and when. #}
{% macro kept_aside_columns() -%}
    transaction_id,
    customer_id,
    product_id,
    quantity_text,
    unit_price_text,
    unit_tax_text,
    currency,
    transaction_time_text,
    transaction_time,
    updated_at,
    loaded_at
{%- endmacro %}
