"""From an event to whoever has to know of it."""
