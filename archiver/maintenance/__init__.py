"""Read, verify, repair and clean an archive."""
