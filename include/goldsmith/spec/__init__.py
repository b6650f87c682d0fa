"""What a user writes: the spec of one pipeline."""
