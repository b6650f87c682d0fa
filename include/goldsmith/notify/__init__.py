"""What a run did as events, the task that sends its alerts, and deadlines that pass."""
