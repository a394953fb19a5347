"""Emit one event: render, build, check, spool, publish."""
