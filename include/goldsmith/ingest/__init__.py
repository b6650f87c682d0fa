"""Raw files into tables: split a file into chunks, stage them in parallel, upsert on the key.

    chunks      cuts a file into byte ranges at record boundaries, and checks header and encoding
    records     finds, in bulk, the rows of a block of bytes that PostgreSQL will accept, and the others
    tables      names, creates and checks tables, and removes what failed runs left
    load        one chunk into its staging table
    merge       all staged chunks into the table, in one go
    file        the three steps in threads, without Airflow
    task_group  the three steps as Airflow tasks

How the lines of a file are accounted for: every record of the file (the header aside) ends as exactly one of
inserted, changed, unchanged, superseded (a later line of the file has its key) or rejected.
"""
