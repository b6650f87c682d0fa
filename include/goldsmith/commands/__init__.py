"""The commands: one file each, with its arguments; `goldsmith.cli` collects them."""
