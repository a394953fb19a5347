"""A contract folder, read into rules that run."""
