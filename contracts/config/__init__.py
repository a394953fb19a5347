"""The configuration file: discovery, schema and values."""
