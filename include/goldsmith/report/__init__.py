"""The report of a run: one HTML page, and Elementary's beside it."""
