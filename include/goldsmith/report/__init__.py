"""The report of a run, and what the tasks around a run share that make reports or tell of it."""
