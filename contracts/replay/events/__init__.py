"""Where replayed events come from."""
