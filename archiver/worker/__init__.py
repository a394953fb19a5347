"""The worker: fetch, archive, answer."""
