"""Decisions as plain values: no I/O, no clock, no environment, no random source."""
