select code, name from {{ source('lake', 'currencies') }}
