"""Carry a plan out, keep a journal and report the outcome."""
