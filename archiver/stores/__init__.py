"""S3-compatible stores, and stores that wrap another."""
