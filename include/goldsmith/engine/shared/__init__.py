"""The shared engine: one `dbt build` for a layer, tasks that show its nodes, and the comparison after it."""
