"""Who is told of a run: what it did as events, the task that tells them, and deadlines that pass."""
