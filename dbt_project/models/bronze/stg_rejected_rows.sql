with source as (

    select * from {{ source('data_lake', 'rejected_rows') }}

),

renamed as (

    select
        file as file_path,
        line as line_number,
        reason as rejection_reason,
        raw as raw_line,
        table_name,
        load_timestamp
    from source

)

select * from renamed
