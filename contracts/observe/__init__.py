"""Observe an emitter wherever it speaks, and apply one set of checks to what it says."""
