"""The configuration file: where it is, and what it says."""
