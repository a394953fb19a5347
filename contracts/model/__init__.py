"""One event: strict JSON, timestamps, pointers, command lines, secrets, identity and violations. Pure."""
