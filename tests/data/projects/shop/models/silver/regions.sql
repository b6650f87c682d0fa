select code as region from {{ ref('stg_currencies') }}
