"""Raw files into tables: split a file into chunks, stage them in parallel, upsert on the key.

    source      the raw file: its kind, its compression, and whether it is still the one it was
    header      the header line, and in which encoding the file seems to be
    chunks      cuts a file into byte ranges at record boundaries
    reader      reads a byte range as blocks of whole records
    records     finds, in bulk, where records end
    rows        tells rows that PostgreSQL will accept from the others
    names       names tables and locks
    tables      creates tables before anything is staged
    shape       checks the table, and finds what of it could lose rows
    leftovers   removes staging tables that nobody needs any more
    load        one chunk into its staging table
    upsert      the statement that merges a range of keys
    merge       all staged chunks into the table, in one go
    waiting     logs who holds the lock that is waited for
    refusals    explains what PostgreSQL refuses
    file        the three steps in threads, without Airflow
    task_group  the three steps as Airflow tasks

How the lines of a file are accounted for: every record of the file (the header aside) ends as exactly one of
inserted, changed, unchanged, superseded (a later line of the file has its key) or rejected.
"""
