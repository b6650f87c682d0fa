"""A Celery worker loads dbt before it forks: a task then costs a third of the CPU. The scheduler walks less."""

import sys

if {"celery", "worker"} <= set(sys.argv):
    import goldsmith.tuning.preload  # noqa: F401 - the import is the purpose
if "scheduler" in sys.argv:
    from goldsmith.tuning.scheduling import spare_walks

    spare_walks()
