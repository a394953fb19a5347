"""S3 itself: the data path and the control path."""
