"""Observe an emitter over any transport, and apply one set of checks to its events."""
