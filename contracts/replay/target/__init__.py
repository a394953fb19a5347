"""Where a replay may go, and whether a target looks live."""
